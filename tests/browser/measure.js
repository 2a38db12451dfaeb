// What the page that is open says of itself, once it has settled. The last argument takes the answer.
const done = arguments[arguments.length - 1];
const shifts = [];
new PerformanceObserver((list) => shifts.push(...list.getEntries()))
    .observe({ type: "layout-shift", buffered: true });
const painted = () => performance.getEntriesByName("first-contentful-paint")[0];
const settle = (left) => {
    if (left > 0 && !painted()) return setTimeout(() => settle(left - 1), 50);
    // What was buffered is handed over in a task of its own.
    setTimeout(() => done({
        shift: shifts.filter((one) => !one.hadRecentInput).reduce((sum, one) => sum + one.value, 0),
        painted_ms: painted()?.startTime ?? null,
        width: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
        overflowing: [...document.querySelectorAll("body *")]
            .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .slice(0, 3).map((one) => one.outerHTML.slice(0, 120)),
        headings: document.querySelectorAll("h1").length,
        main: document.querySelectorAll("main#main").length,
        title: document.title,
        language: document.documentElement.lang,
        inline: document.querySelectorAll("script:not([src]):not([type='application/ld+json']), style, [style]").length,
        height: document.documentElement.scrollHeight,
    }), 20);
};
settle(60);
