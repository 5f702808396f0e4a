/** "tickets.v1/3". */
export function partitionName(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
