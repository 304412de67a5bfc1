/** One-time tokens that a server issues: spent once, on every store. */
export { createTokens } from './create-tokens.ts'
export type {
  Consumption,
  IssueRequest,
  RedeemOptions,
  TokenOptions,
  Tokens,
  TokenWork,
} from './token-types.ts'
