// load.mjs: the verifier's own text, assembled as the page has it, for tests without a browser.
import { readFileSync } from "node:fs";

const FOLDER = new URL("../../streamcount/verifier/", import.meta.url);

// The functions of these names.
export function load(...names) {
  const parts = JSON.parse(readFileSync(new URL("parts.json", FOLDER), "utf8"));
  const text = parts.verifying.map((name) => readFileSync(new URL(name, FOLDER), "utf8")).join("\n");
  return new Function(`${text}\nreturn { ${names.join(", ")} };`)();
}
