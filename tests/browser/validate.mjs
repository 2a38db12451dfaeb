// Checks HTML against the standard, page after page: a line of JSON in (`{"html": "…"}`), a line out (`["rule: message, line:column"]`).
// Knows no taste: what the standard allows is fine.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { HtmlValidate, StaticConfigLoader } = createRequire(`${process.argv[2]}/`)("html-validate");
const checker = new HtmlValidate(new StaticConfigLoader({ root: true, extends: ["html-validate:standard"] }));

for await (const line of createInterface({ input: process.stdin })) {
    const report = checker.validateStringSync(JSON.parse(line).html);
    const messages = report.results.flatMap((result) => result.messages);
    const findings = messages.map((one) => `${one.ruleId}: ${one.message}, line ${one.line}:${one.column}`);
    process.stdout.write(`${JSON.stringify(findings)}\n`);
}
