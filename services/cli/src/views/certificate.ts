import type { CertificateVerdict } from '../certificate/verify.ts';
import type { Style } from '../output/style.ts';
import { pairsText } from '../output/table.ts';

/** Each check with its answer; the contents only of a certificate whose signature holds. */
export function verdictText(
  { isValid, checks, contents }: CertificateVerdict,
  style: Style,
): string {
  const lines = checks.map(({ name, holds, problem }) =>
    holds ? `  ${style.green('✔')} ${name}\n` : `  ${style.red('✘')} ${name}: ${problem ?? ''}\n`,
  );
  const title = isValid
    ? style.green('The certificate holds.')
    : style.red('The certificate does not hold.');
  const said = contents === undefined ? '' : pairsText(certificatePairs(contents), style);
  return `${title}\n${lines.join('')}${said}`;
}

/** What a certificate says, one line a field; lists of objects one line each. */
function certificatePairs(
  contents: Readonly<Record<string, unknown>>,
): readonly (readonly [name: string, value: string])[] {
  return Object.entries(contents).flatMap(([name, value]) => pairsOf(name, value));
}

function pairsOf(name: string, value: unknown): readonly (readonly [string, string])[] {
  if (Array.isArray(value) && value.some((item) => typeof item === 'object')) {
    return value.map((item, index) => [index === 0 ? name : '', flat(item)]);
  }
  return [[name, flat(value)]];
}

function flat(value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => flat(item)).join(', ');
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([name, inner]) => `${name} ${flat(inner)}`)
      .join(', ');
  }
  return String(value);
}
