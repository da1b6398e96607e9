import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { loadConfig, variables } from '@app/platform';

const ROOT = join(__dirname, '../..');
const NAMES = Object.keys(variables);

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** A default as it stands in a file. */
function defaultOf(name: string): string {
  const { default: value } = variables[name as keyof typeof variables] as { default?: unknown };
  return Array.isArray(value) ? value.join(',') : JSON.stringify(value ?? '').replace(/^"|"$/g, '');
}

describe('.env.example', () => {
  const lines = read('.env.example').split('\n');
  const settings = lines.flatMap((line, index) => {
    const [, name, value] = /^# ([A-Z_]+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, value, explanation: lines[index - 1] ?? '' }];
  });

  it('names each variable once, and no other', () => {
    expect(settings.map(({ name }) => name).sort()).toEqual([...NAMES].sort());
  });

  it('says of each what it is, and gives its default', () => {
    for (const { name, value, explanation } of settings) {
      expect([name, value]).toEqual([name, defaultOf(name)]);
      expect(explanation).toMatch(/^# [^-\s].{10,}/);
    }
  });

  it('sets nothing, and with all of it uncommented the configuration is the same', () => {
    expect(parseEnv(lines.join('\n'))).toEqual({});
    const uncommented = parseEnv(settings.map(({ name, value }) => `${name}=${value}`).join('\n'));
    expect(loadConfig(uncommented)).toEqual(loadConfig({}));
  });
});

describe('README.md', () => {
  const table = read('README.md')
    .split('\n')
    .filter((line) => /^\| *`[A-Z_]+` *\|/.test(line));
  const cells = table.map((line) => line.split('|').map((cell) => cell.trim()));

  it('has every variable in its table, once, and no other', () => {
    expect(cells.map(([, name]) => name).sort()).toEqual(NAMES.map((name) => `\`${name}\``).sort());
  });

  it('gives the defaults', () => {
    for (const [, name = '', value = ''] of cells) {
      const expected = defaultOf(name.slice(1, -1));
      // What depends on other variables is said in words.
      if (expected !== '') expect([name, value]).toEqual([name, `\`${expected}\``]);
    }
  });
});
