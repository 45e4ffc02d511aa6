// Renders conversations as transformers.js does: one JSON request a line on stdin, one JSON answer a line on stdout.
// A request is {source, variables: [{…}, …]}; the answer has a text for each, or null where the engine refuses it.
import { createInterface } from "node:readline";
import { Template } from "@huggingface/jinja";

function rendered(template, variables) {
  try {
    return template.render(variables);
  } catch {
    return null;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { source, variables } = JSON.parse(line);
  let template = null;
  try {
    template = new Template(source);
  } catch {}
  console.log(JSON.stringify(variables.map((each) => (template ? rendered(template, each) : null))));
}
