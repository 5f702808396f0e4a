/** The part of the catalogue (reasons.ts) that is about limits; `ErrorInfo.metadata["limit"]` names the one reached. */
export const limitReasons = {
  TOO_MUCH_PENDING: {
    code: 'RESOURCE_EXHAUSTED',
    meaning: 'Too many committed events wait for the log.',
    next: 'Retry after the delay in the details.',
  },
  TOO_MANY_CALLS: {
    code: 'RESOURCE_EXHAUSTED',
    meaning: 'As many calls are open as the server takes, in all or of one caller.',
    next: 'Retry after the delay in the details, and end streams that are not needed.',
  },
  READER_TOO_SLOW: {
    code: 'RESOURCE_EXHAUSTED',
    meaning: 'The caller of a stream read nothing for too long while answers waited for it.',
    next: 'Read the answers as they come, and open the stream again.',
  },
  METADATA_TOO_LARGE: {
    code: 'INVALID_ARGUMENT',
    meaning: 'The metadata of the call is larger than the server takes.',
    next: 'Send the access token and nothing else that is large.',
  },
} as const;
