/** The boundary rules of docs/architecture: who may import whom. A new feature adds one row to `features`. */
const features = {
  events: [],
  lifecycle: ['events'],
  health: ['events'],
};

const featureRules = Object.entries(features).map(([feature, allowed]) => ({
  name: `${feature}-imports-only-platform-and-its-allow-list`,
  comment: `libs/${feature} may import platform${allowed.map((name) => ` and ${name}`).join('')}, nothing else.`,
  severity: 'error',
  from: { path: `^libs/${feature}/` },
  to: { path: '^(libs|apps)/', pathNot: `^libs/(${[feature, 'platform', ...allowed].join('|')})/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'platform-knows-no-feature',
      severity: 'error',
      from: { path: '^libs/platform/' },
      to: { path: '^(libs/(?!platform/)|apps/)' },
    },
    ...featureRules,
    {
      name: 'libs-only-through-their-index',
      comment:
        'Other rooms and the apps import a lib through its index.ts; only ormconfig.ts reaches entities and migrations.',
      severity: 'error',
      from: { path: '^(apps|libs)/([^/]+)/' },
      to: { path: '^libs/([^/]+)/', pathNot: ['^libs/$2/', '^libs/[^/]+/src/index\\.ts$'] },
    },
    {
      name: 'no-own-barrel',
      comment: 'A DTO that comes through the own barrel can lose its validation metadata.',
      severity: 'error',
      from: { path: '^libs/([^/]+)/src/', pathNot: '\\.spec\\.ts$' },
      to: { path: '^libs/$1/src/index\\.ts$' },
    },
    {
      name: 'apps-import-no-other-app',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'index-exports-no-entity',
      severity: 'error',
      from: { path: '^libs/[^/]+/src/index\\.ts$' },
      to: { path: '\\.entity\\.ts$' },
    },
    {
      name: 'production-code-needs-no-dev-dependency',
      severity: 'error',
      from: { path: '^(apps|libs|ormconfig)', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
