/** Starts Swagger UI; a file of its own, as the Content-Security-Policy allows no script inside a page. */
export const SWAGGER_UI_SCRIPT = `SwaggerUIBundle({
  url: document.currentScript.dataset.document,
  dom_id: '#swagger-ui',
  deepLinking: true,
  // Would send the document to validator.swagger.io.
  validatorUrl: null,
});
`;

/** The icon of the pages; without one a browser asks the root of the host for it. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<rect width="16" height="16" rx="3" fill="#1f2937"/>
<path d="M4 5h8M4 8h8M4 11h5" stroke="#fff" stroke-width="1.5"/>
</svg>
`;

/** The page of Swagger UI. `root` leads from the page to the root of the service: empty, or `../` once or more. */
export function swaggerUiPage(root: string): string {
  return page(
    'eventdeck API',
    root,
    `<link rel="stylesheet" href="${root}docs/swagger-ui.css">`,
    `<div id="swagger-ui"></div>
<script src="${root}docs/swagger-ui-bundle.js"></script>
<script src="${root}docs/swagger-ui-start.js" data-document="${root}openapi.json"></script>`,
  );
}

/** The page of ReDoc, which finds its element and the document in it by itself; `root` as for Swagger UI. */
export function redocPage(root: string): string {
  return page(
    'eventdeck API reference',
    root,
    '<style>body { margin: 0 }</style>',
    `<redoc spec-url="${root}openapi.json"></redoc>
<script src="${root}redoc/redoc.standalone.js"></script>`,
  );
}

function page(title: string, root: string, head: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="${root}docs/icon.svg">
${head}
</head>
<body>
${body}
</body>
</html>
`;
}
