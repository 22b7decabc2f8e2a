/**
 * A protocol is an interface. Each method takes one value and an AbortSignal, and returns a Promise (a request) or an
 * AsyncIterable (a stream of events):
 *
 *     interface Library {
 *       find(title: string, signal: AbortSignal): Promise<Book | undefined>;
 *       arrivals(shelf: number, signal: AbortSignal): AsyncIterable<Book>;
 *     }
 *
 * One side hands an implementation of it to `serve`, the other calls it through `RpcClient<Library>`.
 */
type Request = (params: never, signal: AbortSignal) => Promise<unknown>;
type Stream = (params: never, signal: AbortSignal) => AsyncIterable<unknown>;

type NamesOf<Protocol, Method> = { [Name in keyof Protocol]: Protocol[Name] extends Method ? Name : never }[keyof Protocol] & string;

export type RequestName<Protocol> = NamesOf<Protocol, Request>;
export type StreamName<Protocol> = NamesOf<Protocol, Stream>;

export type Params<Protocol, Name extends keyof Protocol> = Protocol[Name] extends () => unknown
  ? undefined
  : Protocol[Name] extends (params: infer Value, signal: AbortSignal) => unknown
    ? Value
    : never;
export type Result<Protocol, Name extends keyof Protocol> = Protocol[Name] extends (...args: never) => Promise<infer Value> ? Value : never;
export type Event<Protocol, Name extends keyof Protocol> = Protocol[Name] extends (...args: never) => AsyncIterable<infer Value>
  ? Value
  : never;
