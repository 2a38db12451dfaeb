// Asks axe-core, which is there already, by the tags of the first argument, or by the rules of the second where it names any.
// Answers with what it found: rule, impact, why, where.
const [tags, rules, done] = arguments;
const only = rules.length > 0 ? { type: "rule", values: rules } : { type: "tag", values: tags };
const where = (node) => {
    const why = [...node.any, ...node.all, ...node.none].map((check) => check.message).join("; ");
    return `${node.html.slice(0, 160)} (${why.slice(0, 200)})`;
};
// A change of scheme may be gradual; what is looked at is what it comes to.
const settled = () => Promise.allSettled(document.getAnimations().map((one) => one.finished));
settled().then(() => axe.run(document, { runOnly: only, resultTypes: ["violations"] })).then(
    (results) => done(results.violations.map((one) => ({
        rule: one.id, impact: one.impact, why: one.help, where: one.nodes.slice(0, 3).map(where),
    }))),
    (error) => done([{ rule: "axe", impact: "critical", why: String(error), where: [] }]),
);
