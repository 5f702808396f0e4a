import { Category } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { GeneratedPerson } from './people.ts';
import type { SeededRandom } from './random.ts';
import { productNames } from './words.ts';

/** Each category: subject, then what the customer says about it. */
const problems: Partial<Record<Category, readonly (readonly [subject: string, body: string])[]>> = {
  [Category.CATEGORY_ACCOUNT_ACCESS]: [
    [
      'Cannot sign in any more',
      'since this morning the sign-in page of {product} says that my password is wrong, though I have not changed it.',
    ],
    [
      'Locked out after password reset',
      'I reset my password for {product} and now the account is locked.',
    ],
  ],
  [Category.CATEGORY_ACCOUNT_CHANGE]: [
    [
      'Please change my address',
      'I have moved house and my contract {reference} still shows the old address.',
    ],
    [
      'Change of name on my contract',
      'my surname has changed, please correct contract {reference}.',
    ],
  ],
  [Category.CATEGORY_BILLING]: [
    ['Invoice looks wrong', 'invoice {reference} charges me twice for {product}.'],
    ['Where is my invoice?', 'I never got the invoice for order {reference}.'],
  ],
  [Category.CATEGORY_PAYMENT]: [
    ['Payment was declined', 'the payment for {reference} was declined although my card is valid.'],
    [
      'Paid, but still marked as open',
      'I paid {reference} a week ago and it is still shown as open.',
    ],
  ],
  [Category.CATEGORY_REFUND]: [
    ['Waiting for my refund', 'I sent back order {reference} and the money has not come.'],
    ['Refund is too small', 'the refund for {reference} lacks the shipping costs.'],
  ],
  [Category.CATEGORY_DELIVERY]: [
    [
      'Parcel has not arrived',
      'parcel {reference} was to come on Tuesday and nobody knows where it is.',
    ],
    [
      'Delivered to the wrong door',
      'the carrier says that parcel {reference} was delivered, but not to me.',
    ],
  ],
  [Category.CATEGORY_DEFECT]: [
    [
      'Something is broken in {product}',
      'when I save a draft in {product} it shows error {reference} and the text is gone.',
    ],
    [
      '{product} crashes on start',
      '{product} closes at once after I open it; the report says {reference}.',
    ],
  ],
  [Category.CATEGORY_OUTAGE]: [
    [
      '{product} is down',
      'nobody in our office can reach {product}; the status page shows incident {reference}.',
    ],
    [
      'Connection lost since last night',
      'there has been no connection since last night, line {reference}.',
    ],
  ],
  [Category.CATEGORY_HOW_TO]: [
    [
      'How do I export my data?',
      'how can I export last quarter from {product}? My workspace is {reference}.',
    ],
    [
      'How to add a colleague',
      'I would like to add a colleague to workspace {reference} in {product}.',
    ],
  ],
  [Category.CATEGORY_COMPLAINT]: [
    [
      'I am disappointed',
      'this is the third time that I write about {reference} and nothing happens.',
    ],
    [
      'Complaint about your service',
      'the visit that you promised for {reference} was cancelled without a word.',
    ],
  ],
  [Category.CATEGORY_PRIVACY]: [
    ['What do you store about me?', 'please tell me which data you keep under {reference}.'],
    ['Please correct my data', 'the profile {reference} lists a wrong date of birth.'],
  ],
};

const otherProblems: readonly (readonly [subject: string, body: string])[] = [
  ['Question about {product}', 'I have a question about {product}, case {reference}.'],
  ['Need help with {product}', '{product} does not do what the manual says; see {reference}.'],
];

const greetings = ['Hello,', 'Good morning,', 'Dear team,', 'Hi there,'] as const;

const followUps = [
  'thank you, I tried that with {reference} and it still does not work.',
  'here is the number that you asked for: {reference}.',
  'any news about {reference}? I have been waiting for a while.',
  'that worked for {reference}, but now there is another message.',
] as const;

const replies = [
  'thank you for writing to us. I have looked at {reference} and started a check.',
  'I am sorry for the trouble. Could you tell me since when {reference} is affected?',
  'we found the cause for {reference} and are putting it right now.',
  'please restart {product} and tell me whether {reference} still shows the error.',
] as const;

const solutions = [
  'this is now fixed for {reference}. I am closing the case; just answer if something is left.',
  'we have corrected {reference} and everything should be in order.',
] as const;

const notes = [
  'Checked {reference} with the second line; identity confirmed: {nationalId}.',
  'Customer {name} called back about {reference}, prefers {phone}.',
  'Waiting for the supplier about {reference}.',
] as const;

const botTexts = [
  'Thank you, {name}. Your request was received under {reference}; a colleague will answer soon.',
] as const;

/** Sentences by which people put personal data into running text. */
const confessions = [
  'You can reach me under {phone} at any time.',
  'My other address is {email} in case this one fails.',
  'For identification: my national id is {nationalId}.',
  'The contract runs on my name, {name}.',
] as const;

export interface WrittenText {
  readonly subject: string;
  readonly body: string;
}

/** What opens a ticket: a subject without personal data and a body that often has some, as in life. */
export function writeOpening(
  random: SeededRandom,
  category: Category,
  author: GeneratedPerson,
): WrittenText {
  const [subject, body] = random.pick(problems[category] ?? otherProblems);
  const parts: string[] = [random.pick(greetings), body];
  if (random.chance(0.45)) parts.push(random.pick(confessions));
  if (random.chance(0.2)) parts.push(random.pick(confessions));
  parts.push(`Kind regards, ${author.name}`);
  const fill = createFiller(random, author);
  return { subject: fill(subject), body: fill(parts.join(' ')) };
}

export function writeFollowUp(random: SeededRandom, author: GeneratedPerson): string {
  const parts: string[] = [random.pick(greetings), random.pick(followUps)];
  if (random.chance(0.25)) parts.push(random.pick(confessions));
  return createFiller(random, author)(parts.join(' '));
}

/** What an agent writes to the requester; it addresses them by name. */
export function writeReply(
  random: SeededRandom,
  requester: GeneratedPerson,
  agent: GeneratedPerson,
  isSolution: boolean,
): string {
  const text = random.pick(isSolution ? solutions : replies);
  return createFiller(
    random,
    requester,
  )(`Dear ${requester.name}, ${text} Best wishes, ${agent.name}`);
}

/** An internal note; notes name the requester more freely than replies do. */
export function writeNote(random: SeededRandom, requester: GeneratedPerson): string {
  return createFiller(random, requester)(random.pick(notes));
}

export function writeBotText(random: SeededRandom, requester: GeneratedPerson): string {
  return createFiller(random, requester)(random.pick(botTexts));
}

/** Why a model thinks so; it quotes the requester's name, so that predictions have canaries of their own. */
export function writeExplanation(random: SeededRandom, requester: GeneratedPerson): string {
  return createFiller(
    random,
    requester,
  )('Messages of {name} have become shorter and more frequent; compare {reference}.');
}

function createFiller(random: SeededRandom, person: GeneratedPerson): (text: string) => string {
  const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ';
  const letter = () => letters.charAt(random.integer(0, letters.length - 1));
  const values: Readonly<Record<string, string>> = {
    product: random.pick(productNames),
    reference: `${letter()}${letter()}${letter()}-${random.digits(4)}-${random.digits(4)}`,
    name: person.name,
    email: person.email,
    phone: person.phone,
    nationalId: person.nationalId,
  };
  return (text) => text.replaceAll(/\{(\w+)\}/g, (whole, slot: string) => values[slot] ?? whole);
}
