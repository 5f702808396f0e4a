/** Breaks a text at spaces into lines of at most `widthMax` characters; more than `linesMax` lines end with "…". */
export function wrapText(
  text: string,
  widthMax: number,
  linesMax = Number.POSITIVE_INFINITY,
): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= widthMax || line === '') {
      line = longer;
    } else {
      lines.push(line);
      line = word;
    }
  }
  if (line !== '') lines.push(line);
  if (lines.length <= linesMax) return lines;
  return [...lines.slice(0, linesMax - 1), `${lines[linesMax - 1] ?? ''} …`];
}
