/** Cancels calls when a signal is aborted. etcd3 does not expose its gRPC calls, but an interceptor can cancel them. */
import { InterceptingCall, type Interceptor, status } from "@grpc/grpc-js";

/** Calls end with DEADLINE_EXCEEDED and the text of the signal's reason; also those that begin after the abort. */
export function cancelWith(signal: AbortSignal): Interceptor {
  return (options, next) => {
    const end = () => call.cancelWithStatus(status.DEADLINE_EXCEEDED, reasonOf(signal));
    const call = new InterceptingCall(next(options), {
      start(metadata, _, go) {
        go(metadata, {
          onReceiveStatus(received, pass) {
            signal.removeEventListener("abort", end);
            pass(received);
          },
        });
        if (signal.aborted) setImmediate(end);
        else signal.addEventListener("abort", end, { once: true });
      },
    });
    return call;
  };
}

function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof Error ? reason.message : String(reason);
}
