import {
  Language,
  type Category,
  type Channel,
  type ProductArea,
  type Tier,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { Plan, Region } from '@lethe/proto/gen/lethe/usage/v1/enums.ts';
import { areaMixes, categoryMixes, channelMixes, tierMixes } from './tenant-mixes.ts';
import type { Weighted } from './random.ts';

/** What makes one generated tenant different from the next. */
export interface TenantProfile {
  readonly tenantId: string;
  /** Begins the ids of its tickets; at least 8 letters, so that such an id is long enough to search for. */
  readonly ticketPrefix: string;
  /** Its share of all events, relative to the others. */
  readonly weight: number;
  /** Hours that its clocks are ahead of UTC. */
  readonly utcOffsetH: number;
  readonly agents: number;
  readonly region: Region;
  readonly plan: Plan;
  readonly categories: readonly Weighted<Category>[];
  readonly channels: readonly Weighted<Channel>[];
  readonly languages: readonly Weighted<Language>[];
  readonly tiers: readonly Weighted<Tier>[];
  readonly productAreas: readonly Weighted<ProductArea>[];
}

function languagesLedBy(first: Language, second: Language): readonly Weighted<Language>[] {
  return [
    [first, 74],
    [second, 19],
    [Language.LANGUAGE_OTHER, 7],
  ];
}

const { LANGUAGE_EN, LANGUAGE_DE, LANGUAGE_FR, LANGUAGE_ES, LANGUAGE_JA, LANGUAGE_PT } = Language;

type Trade = 'software' | 'shop' | 'contract' | 'devices';

interface TenantSketch {
  readonly word: string;
  readonly trade: Trade;
  readonly field: string;
  readonly weight: number;
  readonly utcOffsetH: number;
  readonly agents: number;
  readonly region: Region;
  readonly languages: readonly Weighted<Language>[];
}

const { REGION_EU, REGION_UK, REGION_US, REGION_JP, REGION_LATAM } = Region;

const sketches: readonly TenantSketch[] = [
  {
    word: 'aldermoor',
    field: 'energy',
    trade: 'contract',
    weight: 12,
    utcOffsetH: 1,
    agents: 11,
    region: REGION_EU,
    languages: languagesLedBy(LANGUAGE_DE, LANGUAGE_EN),
  },
  {
    word: 'brightvale',
    field: 'telecom',
    trade: 'devices',
    weight: 16,
    utcOffsetH: 0,
    agents: 14,
    region: REGION_UK,
    languages: languagesLedBy(LANGUAGE_EN, LANGUAGE_FR),
  },
  {
    word: 'cindermark',
    field: 'games',
    trade: 'software',
    weight: 9,
    utcOffsetH: -8,
    agents: 8,
    region: REGION_US,
    languages: languagesLedBy(LANGUAGE_EN, LANGUAGE_ES),
  },
  {
    word: 'dunwellow',
    field: 'insurance',
    trade: 'contract',
    weight: 7,
    utcOffsetH: 1,
    agents: 7,
    region: REGION_EU,
    languages: languagesLedBy(LANGUAGE_FR, LANGUAGE_EN),
  },
  {
    word: 'elmridge',
    field: 'software',
    trade: 'software',
    weight: 13,
    utcOffsetH: -5,
    agents: 12,
    region: REGION_US,
    languages: languagesLedBy(LANGUAGE_EN, LANGUAGE_DE),
  },
  {
    word: 'farrowgate',
    field: 'retail',
    trade: 'shop',
    weight: 15,
    utcOffsetH: 1,
    agents: 13,
    region: REGION_EU,
    languages: languagesLedBy(LANGUAGE_DE, LANGUAGE_FR),
  },
  {
    word: 'glenharbor',
    field: 'travel',
    trade: 'shop',
    weight: 8,
    utcOffsetH: -3,
    agents: 8,
    region: REGION_LATAM,
    languages: languagesLedBy(LANGUAGE_ES, LANGUAGE_PT),
  },
  {
    word: 'hollowbrook',
    field: 'health',
    trade: 'contract',
    weight: 5,
    utcOffsetH: 0,
    agents: 6,
    region: REGION_UK,
    languages: languagesLedBy(LANGUAGE_EN, LANGUAGE_ES),
  },
  {
    word: 'ironquay',
    field: 'logistics',
    trade: 'shop',
    weight: 6,
    utcOffsetH: 1,
    agents: 6,
    region: REGION_EU,
    languages: languagesLedBy(LANGUAGE_EN, LANGUAGE_DE),
  },
  {
    word: 'juniperfold',
    field: 'bank',
    trade: 'contract',
    weight: 4,
    utcOffsetH: 1,
    agents: 5,
    region: REGION_EU,
    languages: languagesLedBy(LANGUAGE_FR, LANGUAGE_DE),
  },
  {
    word: 'kestrelworks',
    field: 'devices',
    trade: 'devices',
    weight: 3,
    utcOffsetH: 9,
    agents: 5,
    region: REGION_JP,
    languages: languagesLedBy(LANGUAGE_JA, LANGUAGE_EN),
  },
  {
    word: 'larkspurdale',
    field: 'learning',
    trade: 'software',
    weight: 2,
    utcOffsetH: -5,
    agents: 4,
    region: REGION_US,
    languages: languagesLedBy(LANGUAGE_EN, LANGUAGE_ES),
  },
];

function profileOf(sketch: TenantSketch, round: number): TenantProfile {
  const { trade } = sketch;
  const suffix = round === 0 ? '' : `-${round + 1}`;
  return {
    tenantId: `${sketch.word}-${sketch.field}${suffix}`,
    ticketPrefix: `${sketch.word.toUpperCase()}${round === 0 ? '' : round + 1}`,
    weight: sketch.weight,
    utcOffsetH: sketch.utcOffsetH,
    agents: sketch.agents,
    region: sketch.region,
    plan: trade === 'shop' ? Plan.PLAN_BUSINESS : Plan.PLAN_ENTERPRISE,
    categories: categoryMixes[trade],
    channels:
      trade === 'shop'
        ? channelMixes.conversational
        : trade === 'software'
          ? channelMixes.mixed
          : channelMixes.classic,
    languages: sketch.languages,
    tiers: trade === 'software' || trade === 'devices' ? tierMixes.business : tierMixes.consumer,
    productAreas:
      trade === 'software'
        ? areaMixes.software
        : trade === 'devices'
          ? areaMixes.devices
          : areaMixes.commerce,
  };
}

/** The first `count` tenants; after twelve the same trades come again under numbered names. */
export function tenantProfiles(count: number): readonly TenantProfile[] {
  const rounds = Math.ceil(count / sketches.length);
  const all = Array.from({ length: rounds }, (_, round) =>
    sketches.map((sketch) => profileOf(sketch, round)),
  );
  return all.flat().slice(0, count);
}
