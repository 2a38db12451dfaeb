// Makes the pages faster; without it every button and form still works by loading a page.
"use strict";

const say = (text) => {
  const region = document.getElementById("said");
  if (region) region.textContent = text;
};

// Votes and saves: the form is sent as it is; a redirect means that it was accepted.
const ACTS = {
  "/vote": { next: "/vote", done: true, word: "Voted", name: "Voted for", said: "Vote noted." },
  "/save": { next: "/unsave", done: true, word: "Saved", name: "Saved:", said: "Saved." },
  "/unsave": { next: "/save", done: false, word: "Save", name: "Save", said: "Removed." },
};

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  const act = form && ACTS[form.getAttribute("action")];
  if (!act) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  let accepted = false;
  try {
    const sent = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    accepted = sent.type === "opaqueredirect" || sent.ok;
  } catch {}
  button.disabled = false;
  if (!accepted) return form.submit();
  form.setAttribute("action", act.next);
  button.setAttribute("aria-pressed", String(act.done));
  button.textContent = act.word;
  button.setAttribute("aria-label", (button.getAttribute("aria-label") || "").replace(/^(Voted? for|Saved:|Save)/, act.name));
  button.focus();
  say(act.said);
});

// Search as you type: loads the same address and takes only the results.
const box = document.getElementById("q");
if (box && document.getElementById("found")) {
  const form = box.form;
  let timer, pending, current = box.value.trim(), pushed = false;
  const show = async (address) => {
    if (pending) pending.abort();
    pending = new AbortController();
    try {
      const answer = await fetch(address, { signal: pending.signal, headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById("found");
      if (!found) return;
      document.getElementById("found").replaceWith(found);
      document.title = page.title;
      const count = found.querySelector("[data-count]");
      say(count ? count.textContent : "");
    } catch (error) {
      if (error.name !== "AbortError") say("The search is not responding.");
    }
  };
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const words = box.value.trim();
      if (words === current) return;
      current = words;
      const query = new URLSearchParams(new FormData(form));
      if (!words) query.delete("q");
      const address = query.size ? form.getAttribute("action") + "?" + query : form.getAttribute("action");
      history[pushed ? "replaceState" : "pushState"](null, "", address);
      pushed = true;
      show(address);
    }, 250);
  });
  addEventListener("popstate", () => {
    pushed = false;
    current = box.value = new URLSearchParams(location.search).get("q") || "";
    show(location.href);
  });
}

// Buttons that need a script are hidden without one.
for (const button of document.querySelectorAll("button[data-copy], button[data-share]")) {
  if (button.dataset.share !== undefined && !navigator.share) continue;
  if (button.dataset.copy !== undefined && !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      if (button.dataset.share !== undefined) {
        await navigator.share({ title: button.dataset.share, url: location.href });
        return;
      }
      const from = document.getElementById(button.dataset.copy);
      await navigator.clipboard.writeText(from ? from.value ?? from.textContent : location.href);
      say("Copied.");
      button.textContent = "Copied";
    } catch {}
  });
}
