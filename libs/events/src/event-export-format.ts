import { CSV_COLUMNS, writeCsvRecord } from './event-csv';
import type { ExportFormat } from './event-export.dto';
import type { EventDto } from './events.dto';

/** An event as the database hands it over. */
export interface ExportedRow {
  json: string;
  /** Its `details` as JSON text, exact where a number is more than JavaScript can hold. */
  details: string | null;
}

/** How events become a file. */
export interface ExportFile {
  mediaType: string;
  head: string;
  /** What stands between two events. */
  separator: string;
  write(event: ExportedRow): string;
  foot: string;
}

export const EXPORT_FILES: Record<ExportFormat, ExportFile> = {
  ndjson: {
    mediaType: 'application/x-ndjson',
    head: '',
    separator: '',
    write: ({ json }) => `${json}\n`,
    foot: '',
  },
  json: {
    mediaType: 'application/json; charset=utf-8',
    head: '[\n',
    separator: ',\n',
    write: ({ json }) => json,
    foot: '\n]\n',
  },
  csv: {
    mediaType: 'text/csv; charset=utf-8; header=present',
    head: writeCsvRecord(CSV_COLUMNS),
    separator: '',
    write: toCsvRecord,
    foot: '',
  },
};

function toCsvRecord({ json, details }: ExportedRow): string {
  const event = JSON.parse(json) as EventDto;
  return writeCsvRecord(
    CSV_COLUMNS.map((column) => {
      if (column === 'details') return details;
      return column === 'id' ? String(event.id) : event[column];
    }),
  );
}
