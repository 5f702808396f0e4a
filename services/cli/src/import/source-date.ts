const tokenPatterns = {
  d: '(?<day>\\d{1,2})',
  m: '(?<month>\\d{1,2})',
  Y: '(?<year>\\d{4})',
  H: '(?<hour>\\d{1,2})',
  M: '(?<minute>\\d{1,2})',
  S: '(?<second>\\d{1,2})',
} as const;

/**
 * Makes a reader of dates such as "d-m-Y H:M", in UTC. Answers undefined for what is not of the form or no day of the
 * calendar (31-02, 24:60).
 */
export function createDateParser(format: string): (text: string) => Date | undefined {
  const pattern = new RegExp(`^${Array.from(format, patternOf).join('')}$`);
  return (text) => {
    const fields = pattern.exec(text.trim())?.groups;
    if (fields === undefined) return undefined;
    const { day, month, year, hour = 0, minute = 0, second = 0 } = fields;
    const wanted = [
      Number(year),
      Number(month),
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    ];
    const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = wanted;
    const moment = new Date(Date.UTC(y, mo - 1, d, h, mi, s));
    // The calendar rolls over what does not exist: the 31st of February would become the 2nd of March.
    const got = [
      moment.getUTCFullYear(),
      moment.getUTCMonth() + 1,
      moment.getUTCDate(),
      moment.getUTCHours(),
      moment.getUTCMinutes(),
      moment.getUTCSeconds(),
    ];
    return got.every((value, index) => value === wanted[index]) ? moment : undefined;
  };
}

function patternOf(character: string): string {
  return character in tokenPatterns
    ? tokenPatterns[character as keyof typeof tokenPatterns]
    : character.replace(/[^A-Za-z0-9 ]/, '\\$&');
}
