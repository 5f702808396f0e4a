/** "TICKET_STATUS_OPEN" and its prefix "TICKET_STATUS_" to "open"; the zero value to "unknown". */
export function enumWord(name: string, prefix: string): string {
  const word = name.startsWith(prefix) ? name.slice(prefix.length) : name;
  return word === 'UNSPECIFIED' ? 'unknown' : word.toLowerCase().replaceAll('_', ' ');
}
