// Package admit says who a client is and whether it may go on.
//
// A [Directory] knows the clients by their API keys. [Guesses] notes addresses that keep trying keys nobody has. [Rates]
// limits how often a client asks. A [Limiter] is the error throttle: a client whose errors on one route reach N within a
// window is blocked on that route for a while.
//
// The error throttle is the one that blocked innocent clients on 20 January 2026, because it counted every error. This one
// holds [Evidence] instead of a number, and only such that counts against the client:
//
//   - An error accrues if its verdict counts and the fault is the client's or not decided. An error that is the upstream's,
//     the gateway's, shared or nobody's is only tallied, and so are successes.
//   - A penalty is derived from the evidence that is held. [Registry.Acquit] takes evidence away that turned out to be
//     another's doing: exactly the blocks that rested on it end.
//   - Errors that led to a block are spent when it ends. The next block needs as many new ones, so that nobody is blocked
//     again by one more error. Errors of requests that were under way when the block began add nothing.
//   - A reload changes the policy and keeps the evidence. It can end or shorten a block, never begin or prolong one.
//   - What cannot be remembered is not punished: when a limiter holds its most clients, others pass untracked.
//
// Limiters live in a [Registry], outside the snapshot that a reload replaces. Nothing here starts a goroutine or reads a
// clock: the time is an argument, with a monotonic reading where it comes from [time.Now]. The gateway calls
// [Registry.Sweep] every minute or so, to forget clients of whom nothing is left to know.
package admit
