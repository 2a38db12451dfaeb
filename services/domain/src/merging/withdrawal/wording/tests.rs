//! Wordings that withdraw, and wordings that only mention it.

use super::*;

#[test]
fn comments_that_withdraw() {
    for comment in [
        "arXiv admin note: This submission has been withdrawn by arXiv administrators due to inappropriate text overlap",
        "Withdrawn due to an error in Lemma 2",
        "Withdrawn",
        "withdrawn.",
        "WITHDRAWN BY THE AUTHOR",
        "This paper has been withdrawn by the author(s)",
        "12 pages, 3 figures. This paper has been withdrawn",
        "Paper withdrawn, error in eq. 3",
        "Paper has been withdrawn",
        "10 pages (withdrawn)",
        "Withdrawn - superseded by arXiv:2401.00001",
        "The paper has been withdrawn due to a crucial sign error in equation 1",
        "This manuscript is temporarily withdrawn",
        "Due to a gap in the proof, the authors have withdrawn this paper",
        "We hereby withdraw this article",
        "I would like to withdraw my paper",
        "The authors have decided to retract this paper",
        "This article has been retracted at the request of the editors",
        "Retracted: the data were fabricated",
        "This paper by A. Author has been withdrawn",
        "This work has been withdrawn from arXiv",
        "arXiv admin note: this version has been removed by arXiv administrators as the submitter did not have the right to agree to the license",
        "This e-print has been withdrawn",
    ] {
        assert!(withdrawal_notice("", comment, "").is_some(), "{comment}");
    }
}

#[test]
fn comments_that_only_mention_it() {
    for comment in [
        "Withdrawn from ICLR 2024, revised version",
        "This paper was withdrawn from JHEP and will be submitted elsewhere",
        "arXiv admin note: substantial text overlap with a paper withdrawn by the authors",
        "Replaces the withdrawn paper arXiv:2401.00001",
        "v1 withdrawn; this is the corrected version",
        "The previous version has been withdrawn",
        "The original version of this paper has been withdrawn",
        "Theorem 3 of this paper has been retracted",
        "This paper has not been withdrawn",
        "Withdrawn life insurance policies, 12 pages",
        "Supersedes a submission that was withdrawn",
        "12 pages, a study of drug withdrawal",
        "If this paper is withdrawn, cite the journal",
    ] {
        assert_eq!(withdrawal_notice("", comment, ""), None, "{comment}");
    }
}

#[test]
fn abstracts_that_withdraw() {
    for text in [
        "This manuscript has been withdrawn by the author due to an error in Lemma 2.",
        "This paper has been withdrawn by the authors. The proof of Theorem 1 fails.",
        "Withdrawn.",
        "The authors have withdrawn their manuscript owing to a duplicate posting. Therefore, the authors do not wish this work to be cited.",
        "Withdrawal Statement The authors have withdrawn their manuscript whilst they perform further experiments.",
        "We study lanterns. We show that they shine. This paper has been withdrawn by the author.",
        "This submission has been withdrawn by arXiv administrators because of fraudulent authorship.",
    ] {
        assert!(withdrawal_notice("", "", text).is_some(), "{text}");
    }
}

#[test]
fn abstracts_about_withdrawal() {
    for text in [
        "Drug withdrawal is common. The drug was withdrawn from the market in 2004.",
        "Withdrawn life insurance policies are priced by a model of surrender.",
        "This paper shows that the drug has been withdrawn for good reasons.",
        "This paper studies papers that were retracted and why.",
        "We count how often readers meet the sentence \"This paper has been withdrawn\" in a listing.",
        "In this paper withdrawn cases are compared with those that went to court.",
        "Retracted articles are cited for years; the paper was withdrawn, and nobody noticed. We model it.",
        "Deposits are withdrawn by customers at random times.",
        "The retraction map sends each point to its nearest neighbour. We retract the cell onto its boundary.",
        "If a paper is withdrawn after publication, its citations stay.",
        "The bill was withdrawn by its authors. We explain why.",
    ] {
        assert_eq!(withdrawal_notice("", "", text), None, "{text}");
    }
}

#[test]
fn titles_that_withdraw() {
    for title in [
        "RETRACTED: Lanterns of the north",
        "Withdrawn: Lanterns",
        "Retracted article: Lanterns",
        "[Retracted] Lanterns",
        "Lanterns (withdrawn)",
        "Withdrawn",
        "Paper withdrawn by the author",
        "This paper has been withdrawn",
    ] {
        assert!(withdrawal_notice(title, "", "").is_some(), "{title}");
    }
    for title in [
        "Withdrawn life insurance",
        "Withdrawn by design",
        "Why articles are retracted",
        "Paper withdrawal in chemistry",
        "Opioid withdrawal",
    ] {
        assert_eq!(withdrawal_notice(title, "", ""), None, "{title}");
    }
}
