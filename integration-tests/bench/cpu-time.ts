/** CPU time of this whole process, all threads, user and system, in microseconds since its start. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU time of the calling thread alone, microseconds; what other processes take does not count. */
export function threadUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** CPU microseconds that the process spent while `work` ran. Nothing else may run meanwhile. */
export async function cpuUsOf(work: () => void | Promise<void>): Promise<number> {
  const before = cpuUs();
  await work();
  return cpuUs() - before;
}
