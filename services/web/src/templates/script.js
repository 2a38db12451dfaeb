// What makes the pages quicker, and nothing that they need: without it every button and form does the same by loading a page.
"use strict";

const say = (text) => {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
};

// Votes and saves: the form is sent as it is; an answer that leads back means it was taken.
const ACTS = {
  "/vote": { next: "/vote", done: true, word: "Voted", name: "Voted for", said: "Your vote counts." },
  "/save": { next: "/unsave", done: true, word: "Saved", name: "Saved:", said: "Saved." },
  "/unsave": { next: "/save", done: false, word: "Save", name: "Save", said: "No longer saved." },
};

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  const act = form && ACTS[form.getAttribute("action")];
  if (!act) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  let taken = false;
  try {
    const sent = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    taken = sent.type === "opaqueredirect" || sent.ok;
  } catch {}
  button.disabled = false;
  if (!taken) return form.submit();
  form.setAttribute("action", act.next);
  button.setAttribute("aria-pressed", String(act.done));
  button.textContent = act.word;
  button.setAttribute("aria-label", (button.getAttribute("aria-label") || "").replace(/^(Voted? for|Saved:|Save)/, act.name));
  button.focus();
  say(act.said);
});

// Search as you type: the same address, of which only the results are taken.
const box = document.getElementById("q");
if (box && document.getElementById("found")) {
  const form = box.form;
  let timer, asking, shown = box.value.trim(), pushed = false;
  const show = async (address) => {
    if (asking) asking.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(address, { signal: asking.signal, headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById("found");
      if (!found) return;
      document.getElementById("found").replaceWith(found);
      document.title = page.title;
      const count = found.querySelector("[data-count]");
      say(count ? count.textContent : "");
    } catch (error) {
      if (error.name !== "AbortError") say("The search does not answer at the moment.");
    }
  };
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const words = box.value.trim();
      if (words === shown) return;
      shown = words;
      const asked = new URLSearchParams(new FormData(form));
      if (!words) asked.delete("q");
      const address = asked.size ? form.getAttribute("action") + "?" + asked : form.getAttribute("action");
      history[pushed ? "replaceState" : "pushState"](null, "", address);
      pushed = true;
      show(address);
    }, 250);
  });
  addEventListener("popstate", () => {
    pushed = false;
    shown = box.value = new URLSearchParams(location.search).get("q") || "";
    show(location.href);
  });
}

// Buttons that only a script can make work are shown by it.
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
