//! The way from the front page to a vote for somebody who has no mouse.

use crate::journeys::reacting::SAVED;
use crate::papers::FORMULAS;
use crate::reader::{Reader, TAB};
use crate::stage::Stage;

/// Most stops on the way to anything.
const MOST_STOPS: usize = 60;

pub fn by_keyboard_alone(_: &Stage, reader: &mut Reader) {
    reader.open("/");
    reader.type_keys(TAB);
    assert!(
        has_focus(reader, "a[href='#main']"),
        "the first stop leads past the navigation"
    );
    tab_to(reader, "[name='q']");
    reader.type_keys("sorting hedgehogs");
    reader.enter();
    tab_to(
        reader,
        &format!("#results article[data-paper='{FORMULAS}'] a[href^='/papers/']"),
    );
    reader.enter();
    assert!(reader.text("h1").starts_with("Sorting Hedgehogs"), "{}", reader.path());
    tab_to(reader, "button[data-action='save']");
    reader.type_keys(crate::reader::ENTER);
    reader.until("the paper is saved", |reader| reader.sees(SAVED));
}

/// Goes from stop to stop, each of which must be seen to have the focus.
fn tab_to(reader: &Reader, selector: &str) {
    for _ in 0..MOST_STOPS {
        if has_focus(reader, selector) {
            return;
        }
        reader.type_keys(TAB);
        let shown = "const one = document.activeElement, style = getComputedStyle(one); \
                     return one === document.body || style.outlineStyle !== 'none' || style.boxShadow !== 'none' ? '' : one.outerHTML";
        let hidden = reader.run(shown, &[]);
        assert_eq!(hidden, "", "the focus cannot be seen");
    }
    panic!(
        "{selector} is not among the first {MOST_STOPS} stops of {}",
        reader.path()
    );
}

fn has_focus(reader: &Reader, selector: &str) -> bool {
    reader.run("return document.activeElement.matches(arguments[0])", &[selector]) == true
}
