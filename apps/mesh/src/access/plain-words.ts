/** Replaces the message of grpc-js at the end of a sentence by a plain network term, such as "connection refused". */

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "connection refused"],
  [/EHOSTUNREACH|ENETUNREACH/, "there is no route to it"],
  [/ENOTFOUND|EAI_\w+|Name resolution failed/i, "its name does not resolve"],
  [/ETIMEDOUT|Deadline exceeded|Waiting for LB pick|Failed to connect before the deadline/i, "no answer in time"],
  [/ECONNRESET|EPIPE|Connection dropped|Connection closed|socket hang up/i, "the connection was cut"],
  [/Channel closed before call started|Cancelled on client|already closed/i, "the connection was closed"],
];

/** Matches from the beginning of the grpc-js message, which follows the CLI's own sentence. */
const BEGIN =
  /(?:Deadline exceeded|No connection established|Channel closed|Name resolution failed|Failed to connect|Connection dropped|Connection closed|Waiting for LB pick|Cancelled on client|read E[A-Z]+|connect E[A-Z]+|write EPIPE|socket hang up)[\s\S]*$/i;

/** Returns other sentences, and what comes before the message of grpc-js, unchanged. */
export function plainWords(sentence: string): string {
  return sentence.replace(BEGIN, (raw) => WORDS.find(([pattern]) => pattern.test(raw))?.[1] ?? bare(raw));
}

/** Keeps only the underlying error, such as a certificate error, where grpc-js wraps one. */
function bare(raw: string): string {
  return raw
    .replace(/^No connection established\.\s*(Last error:\s*)?/i, "")
    .replace(/\s*\(\d{4}-\d\d-\d\dT[^)]*\)/g, "")
    .replace(/\.?\s*Resolution note:.*$/i, "")
    .replace(/^(null)?\.?$/, "no connection");
}
