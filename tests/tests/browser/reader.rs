//! A reader before a screen: opens, follows, fills, presses, and looks whether every page is as it should be.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Mutex;

use base64::Engine as _;
use serde_json::{Value, json};
use tests::until;

use crate::rules;
use crate::stage::Stage;
use crate::variant::{Scheme, Script, Variant};
use crate::webdriver::{Element, Session};

/// Somebody with a browser of their own for as long as they live.
pub struct Reader<'a> {
    pub variant: Variant,
    stage: &'a Stage,
    session: Session,
    wrong: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader whom nobody has seen before.
    pub fn new(stage: &'a Stage, variant: Variant) -> Self {
        let session = stage.session();
        session.command("Network.clearBrowserCookies", &json!({}));
        // Every page shows what it costs somebody who comes for the first time.
        session.command("Network.setCacheDisabled", &json!({ "cacheDisabled": true }));
        session.command("Emulation.setDeviceMetricsOverride", &variant.screen.metrics());
        ask_for(&session, Scheme::Light);
        let reader = Self {
            variant,
            stage,
            session,
            wrong: Vec::new(),
        };
        reader.allow_scripts(variant.script);
        reader
    }

    /// Opens a page by its path, or by a whole address.
    pub fn open(&self, path: &str) {
        let whole = path.starts_with("http");
        let url = if whole {
            path.to_owned()
        } else {
            format!("{}{path}", self.stage.web)
        };
        self.session.go(&url);
    }

    /// Clicks on what leads to another page, and waits for that page.
    pub fn follow(&self, selector: &str) {
        self.session.run("document.left = true", &[]);
        self.press(selector);
        self.until_left(selector);
    }

    /// Clicks on what leads nowhere.
    pub fn press(&self, selector: &str) {
        self.session.click(&self.find(selector));
    }

    /// Writes into a field.
    pub fn fill(&self, selector: &str, text: &str) {
        self.session.fill(&self.find(selector), text);
    }

    /// Presses keys, and nothing else. WebDriver's letters for keys: [`TAB`], [`ENTER`].
    pub fn type_keys(&self, keys: &str) {
        self.session.press(keys);
    }

    /// Presses Enter on a link or button that has the focus, and waits for the page it leads to.
    pub fn enter(&self) {
        self.session.run("document.left = true", &[]);
        self.session.press(ENTER);
        self.until_left("Enter");
    }

    /// Whether there is such an element.
    pub fn sees(&self, selector: &str) -> bool {
        self.session.find(selector).is_some()
    }

    /// The text of the first element that fits, as it is seen.
    pub fn text(&self, selector: &str) -> String {
        let texts = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)",
            &[selector],
        );
        let first = texts[0].as_str();
        first
            .unwrap_or_else(|| panic!("{} has no {selector}", self.path()))
            .to_owned()
    }

    /// An attribute of every element that fits, in their order.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let script =
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.getAttribute(arguments[1]) ?? '')";
        let values = self.run(script, &[selector, name]);
        values
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    }

    /// The papers of a list, by their ids.
    pub fn papers(&self, list: &str) -> Vec<String> {
        self.attributes(&format!("{list} article[data-paper]"), "data-paper")
    }

    /// Runs a script over texts.
    pub fn run(&self, script: &str, texts: &[&str]) -> Value {
        let arguments: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
        self.session.run(script, &arguments)
    }

    /// Where the reader is, without host.
    pub fn path(&self) -> String {
        let address = self.session.address();
        address.strip_prefix(&self.stage.web).unwrap_or(&address).to_owned()
    }

    /// Waits until something is so on the page.
    pub fn until(&self, what: &str, ask: impl Fn(&Self) -> bool) {
        until(&format!("{what}, on {}", self.path()), || ask(self).then_some(()));
    }

    /// Opens a mail as a mail program shows it, and looks at it: a mail has no address, and nothing is loaded for it.
    pub fn read(&mut self, page: &'static str, html: &str) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(html);
        self.session
            .go(&format!("data:text/html;charset=utf-8;base64,{encoded}"));
        self.allow_scripts(Script::On);
        self.look_in_both_schemes(page, Vec::new());
    }

    /// Looks at the page that is open as everybody does who cares: see [`rules`]. What is wrong is told in the end.
    pub fn look(&mut self, page: &'static str) {
        self.look_expecting(page, 200);
    }

    /// The same for a page that has to be a refusal.
    pub fn look_expecting(&mut self, page: &'static str, status: u64) {
        // What is looked at stays as the reader has it; only the looking needs scripts.
        self.allow_scripts(Script::On);
        let (loaded, mut found) = rules::findings(self.stage, &self.session, self.variant.screen);
        if loaded.status != status {
            found.push(format!("status {}, not {status}: {}", loaded.status, loaded.url));
        }
        self.stage.note_bytes(page, loaded.bytes);
        self.look_in_both_schemes(page, found);
    }

    /// The first look at a page takes pictures of it, too; scripts are as the reader has them afterwards.
    fn look_in_both_schemes(&mut self, page: &'static str, mut found: Vec<String>) {
        if first_look(page, self.variant) {
            for scheme in Scheme::BOTH {
                ask_for(&self.session, scheme);
                found.extend(rules::inaccessible(self.stage, &self.session, scheme));
                self.photograph(page, scheme);
            }
        }
        self.allow_scripts(self.variant.script);
        self.note_all(page, found);
    }

    fn note_all(&mut self, page: &str, found: Vec<String>) {
        let place = format!("{page}, {}", self.variant.name());
        self.wrong
            .extend(found.into_iter().map(|finding| format!("{place}: {finding}")));
    }

    /// Takes note that the reader could not go on, with a picture of where.
    pub fn stumbled(&mut self, journey: &str, reason: &(dyn Any + Send)) {
        let said = reason.downcast_ref::<String>().map(String::as_str);
        let said = said
            .or_else(|| reason.downcast_ref::<&str>().copied())
            .unwrap_or("a panic");
        let page = format!("stumbled-{}", journey.replace([' ', ','], "-"));
        self.photograph(&page, Scheme::Light);
        self.wrong
            .push(format!("{}, {}: {said}", self.path(), self.variant.name()));
    }

    /// Ends the visit.
    ///
    /// # Errors
    /// Everything that was wrong with the pages.
    pub fn leave(self) -> Result<(), String> {
        self.stage.take_back(self.session);
        let (fatal, _): (Vec<_>, Vec<_>) = self.wrong.into_iter().partition(|finding| is_fatal(finding));
        if fatal.is_empty() {
            Ok(())
        } else {
            Err(fatal.join("\n"))
        }
    }

    fn find(&self, selector: &str) -> Element {
        let found = self.session.find(selector);
        found.unwrap_or_else(|| panic!("{} has no {selector}", self.path()))
    }

    fn until_left(&self, how: &str) {
        let script = "return document.left !== true && document.readyState === 'complete'";
        until(&format!("{how} leads somewhere"), || {
            (self.session.run(script, &[]) == true).then_some(())
        });
    }

    fn allow_scripts(&self, script: Script) {
        let off = json!({ "value": script == Script::Off });
        self.session.command("Emulation.setScriptExecutionDisabled", &off);
    }

    /// The whole page, for people to look at.
    fn photograph(&self, page: &str, scheme: Scheme) {
        let size = &self.session.command("Page.getLayoutMetrics", &json!({}))["cssContentSize"];
        let height = size["height"].as_f64().unwrap().min(MOST_HEIGHT);
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = self.session.command("Page.captureScreenshot", &wanted);
        let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap());
        let name = format!("{page}.{}.{}.png", self.variant.name(), scheme.name());
        std::fs::write(self.stage.screenshots.join(name), png.unwrap()).unwrap();
    }
}

/// Asks pages for a scheme, and for no motion: what is half-way between two colours would be looked at as if it were one.
fn ask_for(session: &Session, scheme: Scheme) {
    let features = json!([
        { "name": "prefers-color-scheme", "value": scheme.name() },
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ]);
    session.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
}

/// The key that moves the focus.
pub const TAB: &str = "\u{e004}";
/// The key that follows a link.
pub const ENTER: &str = "\u{e007}";
/// Most of a page that is photographed, CSS pixels.
const MOST_HEIGHT: f64 = 8_000.0;

/// What axe calls minor or moderate is told and no more.
fn is_fatal(finding: &str) -> bool {
    !(finding.contains("(minor, ") || finding.contains("(moderate, "))
}

/// Whether nobody has looked at a page in this way.
fn first_look(page: &'static str, variant: Variant) -> bool {
    static SEEN: Mutex<Option<HashSet<(&str, Variant)>>> = Mutex::new(None);
    SEEN.lock().unwrap().get_or_insert_default().insert((page, variant))
}
