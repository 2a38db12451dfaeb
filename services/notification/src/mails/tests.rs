use super::*;
use crate::signing_keys::SigningKeys;
use crate::testing::entry;
use crate::tokens::{LinkHolder, Scope, Tokens};
use domain::schedule::Schedule;
use domain::{Interest, Link, LinkKind};
use jiff::Timestamp;

/// As long as ids are.
const HOLDER: LinkHolder<'_> = LinkHolder {
    id: "0123456789abcdef0123456789abcdef",
    epoch: 0,
};

fn writer() -> MailWriter {
    MailWriter::new(None, "Broadsheet, 1 Example Street, Springfield").expect("the templates render")
}

fn preferences(interests: &[&str]) -> Preferences {
    let schedule = Schedule::parse("07:00", "UTC").expect("a schedule");
    Preferences {
        interests: interests.iter().map(|words| Interest::in_words(words)).collect(),
        ..Preferences::plain(schedule, 10)
    }
}

fn links() -> Links {
    let tokens = Tokens::new(SigningKeys::single(b"secret"));
    Links::new("https://example.org", &tokens, HOLDER, Timestamp::UNIX_EPOCH)
}

fn write(writer: &MailWriter, preferences: &Preferences, papers: &[Paper]) -> Mail {
    write_on(jiff::civil::date(2026, 3, 2), writer, preferences, papers)
}

fn write_on(day: Date, writer: &MailWriter, preferences: &Preferences, papers: &[Paper]) -> Mail {
    let papers: Vec<Arc<Paper>> = papers.iter().cloned().map(Arc::new).collect();
    let reasons = reasons(preferences);
    let in_mail = papers
        .iter()
        .zip(reasons.iter().cycle())
        .map(|(paper, reason)| MailPaper {
            paper,
            reason,
            interest: None,
        });
    let mail = writer.digest(&DigestContent {
        to: "ada@example.org",
        preferences,
        day,
        papers: in_mail.collect(),
        links: &links(),
        message_id: "<a.1@example.org>".to_owned(),
    });
    mail.expect("a mail")
}

fn reasons(preferences: &Preferences) -> [String; 4] {
    let locale = Locale::of(&preferences.language);
    let mut alike = Interest::in_words("");
    alike.like = ["arxiv:2602.00001", "x:b"]
        .map(|id| domain::PaperId::parse(id).expect("an id"))
        .into();
    [
        locale.interest_reason(&Interest::in_words("cats & <dogs>"), 0.87),
        locale.new_reason(),
        locale.interest_reason(&alike, 0.5),
        locale.trending_reason(),
    ]
}

fn hostile() -> Paper {
    let paper = entry(
        "x:a?b=\"c\"&d",
        "<script>alert(\"1\")</script> & {{ friends }}\r\nBcc: eve@example.org",
        "test@1",
    );
    let mut paper = Arc::unwrap_or_clone(paper.paper);
    paper.title.push_str(" \u{202e}desrever ");
    paper.title.push_str(&"W".repeat(400));
    paper.authors = vec!["Ada <b>Lovelace</b>".into(), "Grace\u{0} Hopper".into()];
    paper.abstract_text = format!("We break <i>mails</i> & cats.\nAnd mend {}.", "them ".repeat(300));
    paper.categories = vec!["<cs>".into()];
    paper.language = "en\"onload=\"x".into();
    paper.links = vec![Link {
        kind: LinkKind::Abstract,
        url: "https://example.org/a?b=\"c\"&d".into(),
    }];
    paper
}

fn usual(number: usize) -> Paper {
    let mut paper = Arc::unwrap_or_clone(entry(&format!("arxiv:2603.{number:05}"), "", "test@1").paper);
    let topic = ["cats", "tomatoes", "glaciers"][number % 3];
    paper.title =
        format!("Paper {number}: What {topic} do when nobody looks, and why it matters for large language models");
    paper.authors = (1..=number % 9)
        .map(|author| format!("Firstname{author} Lastname-{number}").into())
        .collect();
    paper.categories = vec!["cs.CL".into(), "cs.LG".into(), "stat.ML".into()];
    paper.abstract_text = format!(
        "It is widely believed that nothing happens. We show, in {number} experiments with {topic}, that a careful look at what \
         they do improves accuracy by {number}.5% over the strongest baseline (Fig. 2), at a third of the cost. Code is available."
    );
    paper.links = vec![
        Link {
            kind: LinkKind::Abstract,
            url: format!("https://arxiv.org/abs/2603.{number:05}"),
        },
        Link {
            kind: LinkKind::Pdf,
            url: format!("https://arxiv.org/pdf/2603.{number:05}"),
        },
    ];
    paper
}

fn usuals(count: usize) -> Vec<Paper> {
    (1..=count).map(usual).collect()
}

/// With tokens by name, so that a snapshot says which link is which.
fn readable(text: &str) -> String {
    let tokens = Tokens::new(SigningKeys::single(b"secret"));
    let token = |scope| tokens.issue(scope, HOLDER, Timestamp::UNIX_EPOCH);
    text.replace(&token(Scope::Preferences), "PREFERENCES")
        .replace(&token(Scope::Unsubscribe), "UNSUBSCRIBE")
        .replace(&token(Scope::React), "REACT")
}

fn assert_looks(name: &str, mail: &Mail) {
    let html = mail.html.as_deref().unwrap_or("none");
    let whole = format!("Subject: {}\n\n{}\n\n{html}", mail.subject, mail.text);
    insta::assert_snapshot!(name, readable(&whole));
}

#[test]
fn a_digest_of_many_papers_looks_like_this() {
    let mail = write(&writer(), &preferences(&["behaviour of cats"]), &usuals(7));
    assert_looks("many", &mail);
    let html = mail.html.expect("html");
    assert!(
        html.contains("experiments with <b>cats</b>, that"),
        "the best sentence, with the words of the interest"
    );
    for banned in [
        "<img",
        "http-equiv",
        "@import",
        "<script",
        "<link",
        "background=",
        "src=",
    ] {
        assert!(
            !html.contains(banned),
            "{banned}: nothing is fetched and nobody is watched"
        );
    }
}

fn confirmation(language: &str) -> ConfirmationContent<'_> {
    ConfirmationContent {
        to: "ada@example.org",
        language,
        confirm_url: "https://example.org/confirm?token=t",
        decline_url: "https://example.org/not-me?token=d",
        message_id: "<a.confirm.1@example.org>".to_owned(),
    }
}

#[test]
fn a_digest_in_german_looks_like_this() {
    let preferences = Preferences {
        language: "de-AT".to_owned(),
        ..preferences(&["behaviour of cats"])
    };
    let mail = write(&writer(), &preferences, &usuals(7)[5..]);
    assert_looks("german", &mail);
    let mail = writer().confirmation(&confirmation("de"));
    assert_looks("german_confirmation", &mail.expect("a mail"));
}

/// A digest of three papers on the first of a month, and a confirmation.
fn assert_looks_in(language: &str, name: &str) {
    let preferences = Preferences {
        language: language.to_owned(),
        ..preferences(&["behaviour of cats"])
    };
    let day = jiff::civil::date(2026, 3, 1);
    let mail = write_on(day, &writer(), &preferences, &usuals(7)[4..]);
    assert_looks(name, &mail);
    let mail = writer().confirmation(&confirmation(language));
    assert_looks(&format!("{name}_confirmation"), &mail.expect("a mail"));
}

#[test]
fn a_digest_in_french_looks_like_this() {
    assert_looks_in("fr", "french");
}

#[test]
fn a_digest_in_spanish_looks_like_this() {
    assert_looks_in("es-MX", "spanish");
}

#[test]
fn a_digest_of_one_paper_looks_like_this() {
    assert_looks("one", &write(&writer(), &preferences(&[]), &usuals(1)));
}

#[test]
fn a_title_leads_to_our_page_and_the_source_is_named_once() {
    let (abstract_page, pdf) = (
        "https://openreview.net/forum?id=a&b",
        "https://openreview.net/pdf?id=a&b",
    );
    let link = |kind, url: &str| Link {
        kind,
        url: url.to_owned(),
    };
    let page = "https://example.org/papers/doi:10.1002/%28sici%291%3C1::aid%3E3.0.co%3B2-2";
    for (links, leads_to_source, leads_to_pdf) in [
        (vec![], false, false),
        (vec![link(LinkKind::Abstract, abstract_page)], true, false),
        (vec![link(LinkKind::Pdf, pdf)], false, true),
        (
            vec![link(LinkKind::Abstract, abstract_page), link(LinkKind::Pdf, pdf)],
            true,
            true,
        ),
        (
            vec![link(LinkKind::Abstract, pdf), link(LinkKind::Pdf, pdf)],
            false,
            true,
        ),
    ] {
        let mut paper = Arc::unwrap_or_clone(entry("doi:10.1002/(sici)1<1::aid>3.0.co;2-2", "", "test@1").paper);
        paper.title = "Lakes".to_owned();
        paper.links.clone_from(&links);
        let mail = write(&writer(), &preferences(&[]), &[paper]);
        let html = mail.html.expect("html");
        let title = format!("<a href=\"{page}\" style=\"color:#1b1a17;text-decoration:none\">Lakes</a></h2>");
        assert!(html.contains(&title), "{html}");
        assert!(mail.text.contains(&format!("\n   Read: {page}\n")), "{}", mail.text);
        for (url, label, is_there) in [
            (abstract_page, "openreview.net", leads_to_source),
            (pdf, "PDF", leads_to_pdf),
        ] {
            let escaped = url.replace('&', "&amp;");
            let anchor = format!("<a href=\"{escaped}\" style=\"color:#7a1f12\">{label}</a>");
            let times = usize::from(is_there);
            assert_eq!(html.matches(&anchor).count(), times, "{label} with {links:?}");
            assert_eq!(html.matches(&escaped).count(), times, "{label} with {links:?}");
            let in_text = format!("\n   {label}: {url}\n");
            assert_eq!(mail.text.matches(&in_text).count(), times, "{label} with {links:?}");
        }
    }
}

#[test]
fn a_digest_as_text_alone_has_no_html() {
    let preferences = Preferences {
        format: MailFormat::Text,
        ..preferences(&["cats"])
    };
    let mail = write(&writer(), &preferences, &usuals(2));
    assert_eq!(mail.html, None);
    assert_looks("text", &mail);
}

#[test]
fn a_hostile_paper_stays_text() {
    let mail = write(&writer(), &preferences(&["cats mails"]), &[hostile(), usual(1)]);
    assert_looks("hostile", &mail);
    assert!(
        !mail.subject.contains(['\n', '\r']) && mail.subject.chars().count() < 110,
        "{}",
        mail.subject
    );
    let html = mail.html.expect("html");
    for banned in ["<script", "<b>Lovelace", "<i>", "<cs>", "\u{202e}", "\u{0}", "\"onload"] {
        assert!(!html.contains(banned), "{banned:?}");
    }
    assert!(
        ![&mail.text, &mail.subject]
            .iter()
            .any(|part| part.contains(['\u{202e}', '\u{0}']))
    );
    assert!(
        html.contains("We break &lt;i&gt;<b>mails</b>&lt;/i&gt; &amp; <b>cats</b>."),
        "{html}"
    );
}

#[test]
fn a_confirmation_looks_like_this() {
    let mail = writer().confirmation(&confirmation("en"));
    let mail = mail.expect("a mail");
    assert_eq!(mail.list_unsubscribe_url, None);
    assert_looks("confirmation", &mail);
}

/// The subject, text and HTML of a digest as it is read, and as it goes out.
fn rendered_and_assembled(
    writer: &MailWriter,
    preferences: &Preferences,
    papers: &[Paper],
) -> [(String, String, Option<String>); 2] {
    let reasons = reasons(preferences);
    let papers: Vec<Arc<Paper>> = papers.iter().cloned().map(Arc::new).collect();
    let in_mail = papers.iter().zip(reasons.iter().cycle()).enumerate();
    let in_mail = in_mail.map(|(index, (paper, reason))| MailPaper {
        paper,
        reason,
        interest: u16::try_from(index % 3).ok().filter(|index| *index < 2),
    });
    let digest = DigestContent {
        to: "ada@example.org",
        preferences,
        day: jiff::civil::date(2026, 3, 2),
        papers: in_mail.collect(),
        links: &links(),
        message_id: "<a.1@example.org>".to_owned(),
    };
    let read = writer.digest(&digest).expect("a mail");
    let sent = writer.encoded_digest(&digest).expect("a mail");
    assert_eq!(read.list_unsubscribe_url, sent.list_unsubscribe_url);
    let (text, html) = sent.body.parsed();
    let trimmed = |text: String| text.trim_end_matches('\n').to_owned();
    [
        (read.subject, trimmed(read.text), read.html.map(trimmed)),
        (sent.subject, trimmed(text), html.map(trimmed)),
    ]
}

#[test]
fn fragments_say_what_the_templates_say() {
    let writer = writer();
    let mut bare = usual(3);
    bare.links.clear();
    bare.categories.clear();
    bare.abstract_text.clear();
    let mut marked = usual(4);
    marked.title.push_str("\u{fdd0}R\u{fdd0}");
    let preferences = preferences(&["behaviour of cats <& dogs>", "mails"]);
    let text_alone = Preferences {
        format: MailFormat::Text,
        ..preferences.clone()
    };
    let in_language = |language: &str| Preferences {
        language: language.to_owned(),
        ..preferences.clone()
    };
    let (in_german, in_french) = (in_language("de-AT"), in_language("fr"));
    let in_unknown_language = in_language("tlh");
    for papers in [
        usuals(7),
        usuals(1),
        vec![hostile(), usual(2), bare.clone()],
        vec![marked, usual(2)],
        vec![bare],
        usuals(30),
        usuals(7),
    ] {
        for preferences in [&preferences, &text_alone, &in_german, &in_french, &in_unknown_language] {
            let [read, sent] = rendered_and_assembled(&writer, preferences, &papers);
            assert_eq!(read, sent);
        }
    }
}

#[test]
fn fifty_papers_fit_into_what_large_providers_show() {
    let mut papers = usuals(50);
    for paper in &mut papers {
        paper
            .title
            .push_str(", with a subtitle that goes on for as long as the longest titles of conferences do");
        paper.abstract_text = format!("Cats {}.", "and what is known of their habits ".repeat(30));
    }
    for language in ["en", "de", "fr", "es"] {
        let preferences = Preferences {
            language: language.to_owned(),
            ..preferences(&["cats"])
        };
        let html = write(&writer(), &preferences, &papers).html.expect("html");
        assert!(html.len() < 100_000, "{} bytes in {language}", html.len());
    }
}

#[test]
fn subjects_fit_any_number_of_papers_and_any_title() {
    let subject = |papers: &[Paper]| write(&writer(), &preferences(&[]), papers).subject;
    assert_eq!(subject(&[]), "No new papers today");
    let mut long = usual(1);
    long.title = "word ".repeat(100).trim().to_owned();
    assert!(subject(&usuals(3)).ends_with(" and 2 more"));
    let subject = subject(&[long, usual(2)]);
    assert!(
        subject.ends_with("word… and 1 more") && subject.chars().count() < 110,
        "{subject}"
    );
}

#[test]
fn an_operator_replaces_templates_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
    };
    let refusal = |name: &str| match MailWriter::new(Some(folder.path()), "") {
        Ok(_) => panic!("{name} is accepted"),
        Err(problem) => problem,
    };
    put("digest/subject.txt", "Today: {{ papers|length }}");
    let writer = MailWriter::new(Some(folder.path()), "").expect("the templates render");
    assert_eq!(write(&writer, &preferences(&[]), &usuals(3)).subject, "Today: 3");
    let [read, sent] = rendered_and_assembled(&writer, &preferences(&[]), &usuals(3));
    assert_eq!(read, sent);

    let html = "<h2>{% if paper.url %}<a href=\"{{ paper.url }}\">{{ paper.title }}</a>{% endif %}</h2>{{ paper.pdf }}";
    put("digest/paper.html", html);
    put("digest/paper.txt", "{{ locale.digest.read }}: {{ paper.url }}");
    let writer = MailWriter::new(Some(folder.path()), "").expect("the templates render");
    let [read, sent] = rendered_and_assembled(&writer, &preferences(&[]), &usuals(1));
    assert_eq!(read, sent);
    assert!(sent.1.contains("Read: https://arxiv.org/abs/2603.00001"), "{}", sent.1);
    let html = sent.2.expect("html");
    assert!(
        html.contains("<h2><a href=\"https://arxiv.org/abs/2603.00001\">Paper 1: "),
        "{html}"
    );
    assert!(html.contains("</h2>https://arxiv.org/pdf/2603.00001"), "{html}");

    put("digest/subject.txt", "Today:\n{{ paper_count }}");
    let problem = refusal("a wrong name");
    assert!(
        problem.contains(&format!("{}/digest/subject.txt, line 2", folder.path().display())),
        "{problem}"
    );
    put("digest/subject.txt", "{% if %}");
    assert!(refusal("a wrong tag").contains("digest/subject.txt, line 1: syntax error"));
    put("digest/subject.txt", "fine");
    put("digest/bodi.html", "");
    assert!(refusal("an unknown name").contains("digest/bodi.html replaces no template; there are layout/body.html"));
    assert!(MailWriter::new(Some(&folder.path().join("none")), "").is_err());
}

#[test]
fn terms_of_the_interest_that_brought_a_paper_are_bold() {
    let mut paper = Arc::unwrap_or_clone(entry("x:a", "", "test@1").paper);
    paper.abstract_text = "Glaciers melt while tomatoes grow. Cats sleep on glaciers.".to_owned();
    let preferences = preferences(&["cats", "tomatoes"]);
    let terms = HighlightTerms::new(&preferences);
    let highlighted = |interest: Option<u16>| {
        let best = AbstractCache::default()
            .of(&paper)
            .prepared
            .highlight(terms.of_interest(interest));
        let spans = best.sentence_spans.iter();
        spans.map(|span| &paper.abstract_text[span.clone()]).collect::<Vec<_>>()
    };
    assert_eq!(highlighted(Some(0)), ["Cats"]);
    assert_eq!(highlighted(Some(1)), ["tomatoes"]);
    assert_eq!(highlighted(None), ["tomatoes"], "the first sentence that fits any");
    assert_eq!(highlighted(Some(9)), ["tomatoes"], "an interest that is gone");
}

#[test]
fn titles_and_abstracts_are_as_people_read_them() {
    let mut paper = Arc::unwrap_or_clone(entry("x:a", "", "test@1").paper);
    paper.title = "Rows of $\\mathcal{O}(n\\log n)$ \\& 9\\% of_the #cats' ~norm at \\$5".to_owned();
    paper.abstract_text =
        "We show $\\alpha_{ij} \\le 10^{-3}$. \\emph{Cats} have $\\|f\\|_p \\le 1$ \\cite{x}.".to_owned();
    let title = "Rows of O(n log n) & 9% of_the #cats’ ~norm at $5";
    let writer = writer();
    let mut preferences = preferences(&["cats"]);
    for format in [MailFormat::Html, MailFormat::Text] {
        preferences.format = format;
        let mail = write(&writer, &preferences, &[paper.clone()]);
        assert_eq!(mail.subject, title);
        assert!(mail.text.contains(title), "{}", mail.text);
        assert!(mail.text.contains("Cats have ‖f‖ₚ ≤ 1."), "{}", mail.text);
        let Some(html) = mail.html else { continue };
        assert!(html.contains(&title.replace('&', "&amp;")), "{html}");
        assert!(
            html.contains("Cats</") && html.contains("We show αᵢⱼ ≤ 10⁻³."),
            "{html}"
        );
        assert!(!html.contains("\\alpha"), "{html}");
    }
}
