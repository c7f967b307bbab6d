// Invokes a function as a script of the original system does: with the Lambda client of the AWS SDK, our address as its endpoint.
// node invoke.mjs ENDPOINT FUNCTION INVOCATION_TYPE < payload.json; prints what the client made of the answer as one JSON object.
import { readFileSync } from "node:fs";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const [endpoint, FunctionName, InvocationType] = process.argv.slice(2);
const client = new LambdaClient({
  endpoint,
  region: "eu-central-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
});
const command = new InvokeCommand({ FunctionName, InvocationType, Payload: readFileSync(0) });
try {
  const { StatusCode, FunctionError, ExecutedVersion, Payload } = await client.send(command);
  const payload = Payload?.length ? JSON.parse(Payload.transformToString()) : null;
  console.log(JSON.stringify({ status: StatusCode, error: FunctionError, version: ExecutedVersion, payload }));
} catch (error) {
  console.log(JSON.stringify({ status: error.$metadata?.httpStatusCode, error: error.name, message: error.message }));
}
