import type { TopicName } from '@lethe/proto/topics.ts';
import type { OpenedRecord } from '../event-store/open-records.ts';

/** How the state of a stream follows from its records. Pure. */
export interface RebuildRules<State> {
  /** The event types whose content the state depends on; of the others the facts suffice. */
  readonly contentTypes: ReadonlySet<string>;
  /** The state after a record of the stream; records come by rising position. */
  fold(state: State | undefined, record: OpenedRecord): State;
  /** What the state says of other owners' events. */
  readonly observed?: {
    readonly topic: TopicName;
    /** Of each stream the last record of these types counts, and its facts alone. */
    readonly types: ReadonlySet<string>;
    fold(state: State | undefined, record: OpenedRecord): State;
  };
}
