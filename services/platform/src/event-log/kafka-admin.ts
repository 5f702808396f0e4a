import type { Admin, Kafka } from 'kafkajs';

interface Shared {
  readonly admin: Admin;
  readonly connected: Promise<void>;
  asking: number;
}

/**
 * One administrative client for all who ask. After a failure nobody else gets it, as a client whose cluster went away may
 * keep brokers that are gone; it ends once the last one who asks it has an answer.
 */
export class SharedAdmin {
  readonly #kafka: Pick<Kafka, 'admin'>;
  #current: Shared | undefined;

  constructor(kafka: Pick<Kafka, 'admin'>) {
    this.#kafka = kafka;
  }

  async ask<Answer>(question: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    const shared = (this.#current ??= this.#connect());
    shared.asking += 1;
    try {
      await shared.connected;
      return await question(shared.admin);
    } catch (error) {
      if (this.#current === shared) this.#current = undefined;
      throw error;
    } finally {
      shared.asking -= 1;
      if (this.#current !== shared && shared.asking === 0) await disconnect(shared.admin);
    }
  }

  /** Who asks now fails. */
  async close(): Promise<void> {
    const shared = this.#current;
    this.#current = undefined;
    if (shared !== undefined) await disconnect(shared.admin);
  }

  #connect(): Shared {
    const admin = this.#kafka.admin();
    return { admin, connected: admin.connect(), asking: 0 };
  }
}

async function disconnect(admin: Admin): Promise<void> {
  try {
    await admin.disconnect();
  } catch {
    // It is not used again.
  }
}
