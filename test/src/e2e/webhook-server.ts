/**
 * A validating webhook: `node webhook-server.js PORT CERTIFICATE KEY` answers AdmissionReviews over TLS, and refuses objects with
 * the annotation "refuse", with a reason. Output: the line "listening", then the name of each reviewed object.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

interface AdmissionReview {
  readonly request: {
    readonly uid: string;
    readonly object: { readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> } };
  };
}

function answer(review: AdmissionReview): object {
  const { uid, object } = review.request;
  console.log(object.metadata.name);
  const refused = object.metadata.annotations?.["refuse"] !== undefined;
  const status = refused ? { status: { code: 403, message: "the webhook in the pod says no" } } : {};
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: { uid, allowed: !refused, ...status },
  };
}

const [port = "", certificate = "", key = ""] = process.argv.slice(2);
createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (chunk: string) => {
    body += chunk;
  });
  request.on("end", () => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer(JSON.parse(body) as AdmissionReview)));
  });
}).listen(Number(port), () => console.log("listening"));
