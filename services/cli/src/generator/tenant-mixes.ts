import { Category, Channel, ProductArea, Tier } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { Weighted } from './random.ts';

/** How customers reach a help desk. */
export const channelMixes = {
  classic: [
    [Channel.CHANNEL_EMAIL, 52],
    [Channel.CHANNEL_WEB, 27],
    [Channel.CHANNEL_VOICE, 16],
    [Channel.CHANNEL_API, 5],
  ],
  conversational: [
    [Channel.CHANNEL_CHAT, 41],
    [Channel.CHANNEL_MESSAGING, 24],
    [Channel.CHANNEL_EMAIL, 22],
    [Channel.CHANNEL_SOCIAL, 8],
    [Channel.CHANNEL_SMS, 5],
  ],
  mixed: [
    [Channel.CHANNEL_EMAIL, 36],
    [Channel.CHANNEL_CHAT, 24],
    [Channel.CHANNEL_WEB, 20],
    [Channel.CHANNEL_VOICE, 12],
    [Channel.CHANNEL_MESSAGING, 8],
  ],
} as const satisfies Record<string, readonly Weighted<Channel>[]>;

/** What its customers have bought. */
export const tierMixes = {
  consumer: [
    [Tier.TIER_FREE, 45],
    [Tier.TIER_STANDARD, 45],
    [Tier.TIER_PREMIUM, 10],
  ],
  business: [
    [Tier.TIER_STANDARD, 50],
    [Tier.TIER_PREMIUM, 32],
    [Tier.TIER_ENTERPRISE, 18],
  ],
} as const satisfies Record<string, readonly Weighted<Tier>[]>;

/** What they write about, by trade. */
export const categoryMixes = {
  software: [
    [Category.CATEGORY_ACCOUNT_ACCESS, 18],
    [Category.CATEGORY_DEFECT, 20],
    [Category.CATEGORY_HOW_TO, 18],
    [Category.CATEGORY_INTEGRATION, 10],
    [Category.CATEGORY_PERFORMANCE, 8],
    [Category.CATEGORY_OUTAGE, 5],
    [Category.CATEGORY_FEATURE_REQUEST, 7],
    [Category.CATEGORY_BILLING, 6],
    [Category.CATEGORY_REPORTING, 5],
    [Category.CATEGORY_SECURITY, 3],
  ],
  shop: [
    [Category.CATEGORY_ORDER, 20],
    [Category.CATEGORY_DELIVERY, 25],
    [Category.CATEGORY_RETURN, 14],
    [Category.CATEGORY_REFUND, 12],
    [Category.CATEGORY_PAYMENT, 12],
    [Category.CATEGORY_COMPLAINT, 9],
    [Category.CATEGORY_ACCOUNT_ACCESS, 8],
  ],
  contract: [
    [Category.CATEGORY_BILLING, 24],
    [Category.CATEGORY_ACCOUNT_CHANGE, 18],
    [Category.CATEGORY_SUBSCRIPTION, 15],
    [Category.CATEGORY_PAYMENT, 12],
    [Category.CATEGORY_ACCOUNT_ACCESS, 12],
    [Category.CATEGORY_COMPLAINT, 10],
    [Category.CATEGORY_PRIVACY, 5],
    [Category.CATEGORY_OTHER, 4],
  ],
  devices: [
    [Category.CATEGORY_HARDWARE, 26],
    [Category.CATEGORY_NETWORK, 18],
    [Category.CATEGORY_INSTALLATION, 16],
    [Category.CATEGORY_CONFIGURATION, 14],
    [Category.CATEGORY_OUTAGE, 10],
    [Category.CATEGORY_DEFECT, 10],
    [Category.CATEGORY_RETURN, 6],
  ],
} as const satisfies Record<string, readonly Weighted<Category>[]>;

/** Which part of the product they mean. */
export const areaMixes = {
  software: [
    [ProductArea.PRODUCT_AREA_WEB_APP, 40],
    [ProductArea.PRODUCT_AREA_MOBILE_APP, 22],
    [ProductArea.PRODUCT_AREA_API, 14],
    [ProductArea.PRODUCT_AREA_INTEGRATIONS, 12],
    [ProductArea.PRODUCT_AREA_REPORTS, 12],
  ],
  commerce: [
    [ProductArea.PRODUCT_AREA_COMMERCE, 55],
    [ProductArea.PRODUCT_AREA_BILLING, 25],
    [ProductArea.PRODUCT_AREA_ACCOUNTS, 20],
  ],
  devices: [
    [ProductArea.PRODUCT_AREA_DEVICES, 50],
    [ProductArea.PRODUCT_AREA_INFRASTRUCTURE, 30],
    [ProductArea.PRODUCT_AREA_DOCUMENTATION, 20],
  ],
} as const satisfies Record<string, readonly Weighted<ProductArea>[]>;
