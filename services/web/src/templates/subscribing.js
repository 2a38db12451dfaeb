// What makes the forms of the digest quicker, and nothing that they need: without it the preview comes by its button.
"use strict";

const zone = document.querySelector("select[data-guess]");
if (zone) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...zone.options].some((one) => one.value === here)) zone.value = here;
}

// The preview below the form, set anew when somebody stops typing: the same page, of which only the preview is taken.
const form = document.querySelector("form[data-preview]");
if (form) {
  let timer, asking, last;
  const fields = () => {
    const fields = new URLSearchParams(new FormData(form));
    // No preview depends on the address, so it is not sent before it has to be.
    fields.delete("email");
    return fields;
  };
  last = fields().toString();
  const show = async () => {
    const wanted = fields();
    if (wanted.toString() === last) return;
    last = wanted.toString();
    if (asking) asking.abort();
    asking = new AbortController();
    const old = document.getElementById("preview");
    old.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: wanted, signal: asking.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const preview = page.getElementById("preview");
      if (preview) old.replaceWith(document.adoptNode(preview));
      else old.removeAttribute("aria-busy");
    } catch (error) {
      if (error.name !== "AbortError") {
        old.removeAttribute("aria-busy");
        last = undefined;
      }
    }
  };
  form.addEventListener("input", (event) => {
    if (event.target.name === "email") return;
    clearTimeout(timer);
    timer = setTimeout(show, 700);
  });
  if (zone && zone.value !== "UTC") timer = setTimeout(show, 700);
}
