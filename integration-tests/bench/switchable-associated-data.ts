import * as real from '@lethe/platform/sealing/associated-data.ts';
import { sealingSwitch, withTime } from './sealing-switch.ts';

/** `sealing/associated-data.ts` with a switch; loaded in its place by replace-sealing.ts. */

const nothing = Buffer.alloc(0);

export const partAssociatedData: typeof real.partAssociatedData = (header, parts) => {
  if (!sealingSwitch.isOn) return () => nothing;
  const bind = withTime(() => real.partAssociatedData(header, parts));
  return (part) => withTime(() => bind(part));
};

export const valueAssociatedData: typeof real.valueAssociatedData = (
  binding,
  scope,
  incarnation,
) =>
  sealingSwitch.isOn
    ? withTime(() => real.valueAssociatedData(binding, scope, incarnation))
    : nothing;
