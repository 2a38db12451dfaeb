//! Leafing through the days, and the pages that are reached by links alone.

use crate::papers::days_ago;
use crate::reader::Reader;
use crate::stage::Stage;

pub fn windows_and_days(_: &Stage, reader: &mut Reader) {
    reader.open("/");
    let of_day = reader.papers("#newest");
    assert!(!of_day.is_empty(), "papers of today");
    reader.follow("a[href*='window=week']");
    reader.look("week");
    reader.follow("a[href*='window=month']");
    reader.look("month");
    let of_month = reader.papers("#newest");
    // A month begins on its first day, and on that day has no other.
    let first_day = days_ago(0).ends_with("-01");
    assert!(
        of_month.len() > of_day.len() || first_day && of_month.len() == of_day.len(),
        "{} of the month, {} of the day",
        of_month.len(),
        of_day.len()
    );
    reader.open("/?window=month&category=cs.LG");
    reader.look("month-category");
    let of_category = reader.papers("#newest");
    assert!(
        !of_category.is_empty() && of_category.len() < of_month.len(),
        "{of_category:?}"
    );

    reader.open(&format!("/day/{}", days_ago(0)));
    reader.look("day");
    let today = reader.papers("main");
    reader.follow("a[rel='prev']");
    assert_eq!(reader.path(), format!("/day/{}", days_ago(1)));
    let yesterday = reader.papers("main");
    assert!(!yesterday.is_empty() && yesterday != today, "{yesterday:?}");
    reader.follow("nav[aria-label='Other days'] a:last-child");
    assert_eq!(reader.papers("main"), today, "there and back");
}

pub fn other_pages(_: &Stage, reader: &mut Reader) {
    reader.open("/categories");
    reader.look("categories");
    reader.follow("main a[href='/categories/cs.LG']");
    reader.look("category");
    assert!(!reader.papers("main").is_empty());
    reader.open("/authors/Mira%20Castellan");
    reader.look("author");
    assert!(!reader.papers("main").is_empty());
    for (path, page) in [
        ("/trending", "trending"),
        ("/status", "status"),
        ("/about", "about"),
        ("/help/search", "help-search"),
        ("/saved", "saved-nothing"),
    ] {
        reader.open(path);
        reader.look(page);
    }
}
