//! What a name of a column or a key says about a paper: one table for JSON of any origin and for the exports of reference
//! managers and databases (Zotero, Scopus, Web of Science, IEEE Xplore, Google Scholar and others).

/// What a named value is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The record's own id.
    Id,
    /// Title.
    Title,
    /// Abstract.
    Abstract,
    /// Authors, as one text or as a list.
    Authors,
    /// Authors as lists of family name, given names and suffix.
    ParsedAuthors,
    /// Categories or keywords.
    Categories,
    /// When it was published.
    Published,
    /// When it was last changed.
    Updated,
    /// Landing page.
    Url,
    /// PDF.
    PdfUrl,
    /// Source code.
    CodeUrl,
    /// Language.
    Language,
    /// DOI.
    Doi,
    /// arXiv id.
    Arxiv,
    /// PubMed id.
    Pubmed,
    /// What its authors say about this version; it may say that it is withdrawn.
    Comment,
    /// Versions with their dates.
    Versions,
    /// The feed it comes from.
    Source,
    /// Known, and nothing that a paper here has.
    Unused,
}

/// How many meanings there are.
pub const MEANINGS: usize = 19;
/// The longest name that can mean anything.
const MAX_NAME: usize = 32;

/// The meaning of a name, and how much it is preferred to other names of the same meaning: less is better. Case, blanks and
/// punctuation do not matter.
pub fn meaning(name: &str) -> Option<(Meaning, u8)> {
    let mut squashed = [0; MAX_NAME];
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        *squashed.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    described(&squashed[..length]).or_else(|| bibliographic(&squashed[..length]))
}

/// Names of what describes a paper.
fn described(name: &[u8]) -> Option<(Meaning, u8)> {
    Some(match name {
        b"title" => (Meaning::Title, 0),
        b"documenttitle" | b"articletitle" | b"papertitle" => (Meaning::Title, 1),
        b"ti" | b"itemtitle" => (Meaning::Title, 2),
        b"abstract" => (Meaning::Abstract, 0),
        b"summary" | b"abstracttext" | b"abstractnote" => (Meaning::Abstract, 1),
        b"ab" => (Meaning::Abstract, 2),
        b"description" => (Meaning::Abstract, 3),
        b"authorfullnames" | b"authorsfullnames" | b"af" => (Meaning::Authors, 0),
        b"authors" | b"authornames" | b"authorlist" => (Meaning::Authors, 1),
        b"author" | b"au" => (Meaning::Authors, 2),
        b"creators" | b"creator" => (Meaning::Authors, 3),
        b"authorsparsed" => (Meaning::ParsedAuthors, 0),
        b"categories" => (Meaning::Categories, 0),
        b"category" => (Meaning::Categories, 1),
        b"keywords" | b"authorkeywords" | b"manualtags" | b"de" => (Meaning::Categories, 2),
        b"keyword" | b"subjects" | b"fieldsofstudy" => (Meaning::Categories, 3),
        b"subject" | b"tags" | b"primarycategory" => (Meaning::Categories, 4),
        b"language" => (Meaning::Language, 0),
        b"languageoforiginaldocument" | b"lang" | b"la" => (Meaning::Language, 1),
        b"comment" | b"comments" => (Meaning::Comment, 0),
        _ => return None,
    })
}

/// Names of identifiers, dates and links.
fn bibliographic(name: &[u8]) -> Option<(Meaning, u8)> {
    Some(match name {
        // In an export of Web of Science `ID` holds keywords.
        b"ut" | b"utuniquewosid" | b"uniquewosid" => (Meaning::Id, 0),
        b"id" => (Meaning::Id, 1),
        b"paperid" | b"eid" | b"documentid" => (Meaning::Id, 2),
        b"key" | b"citationkey" | b"citekey" | b"accessionnumber" => (Meaning::Id, 3),
        b"published" | b"publishedtime" | b"publishedat" => (Meaning::Published, 0),
        b"publicationdate" | b"publisheddate" | b"datepublished" | b"pubdate" => (Meaning::Published, 1),
        b"date" | b"onlinedate" => (Meaning::Published, 2),
        b"coverdate" | b"issuedate" => (Meaning::Published, 3),
        b"publicationyear" | b"pubyear" | b"year" | b"py" => (Meaning::Published, 4),
        b"updated" | b"updatedtime" | b"updatedat" => (Meaning::Updated, 0),
        b"updatedate" | b"lastupdated" => (Meaning::Updated, 1),
        b"url" => (Meaning::Url, 0),
        b"link" | b"articleurl" | b"absurl" => (Meaning::Url, 1),
        b"pdfurl" => (Meaning::PdfUrl, 0),
        b"pdf" | b"pdflink" => (Meaning::PdfUrl, 1),
        b"codeurl" => (Meaning::CodeUrl, 0),
        b"code" | b"github" | b"githuburl" => (Meaning::CodeUrl, 1),
        b"doi" => (Meaning::Doi, 0),
        b"di" | b"doiurl" | b"doilink" | b"digitalobjectidentifier" => (Meaning::Doi, 1),
        b"arxiv" | b"arxivid" => (Meaning::Arxiv, 0),
        b"arxivnumber" | b"eprint" => (Meaning::Arxiv, 1),
        b"pmid" | b"pubmedid" => (Meaning::Pubmed, 0),
        b"pm" => (Meaning::Pubmed, 1),
        b"versions" => (Meaning::Versions, 0),
        b"source" => (Meaning::Source, 0),
        // What else the snapshot of arXiv has, and what Zotero says about its own entry.
        b"submitter" | b"journalref" | b"reportno" | b"license" | b"mscclass" | b"acmclass" | b"dateadded"
        | b"datemodified" | b"itemtype" => (Meaning::Unused, 0),
        _ => return None,
    })
}

/// The meaning of a field that a mapping names, as [`super::FIELDS`] has it.
pub fn of_field(field: &str) -> Option<Meaning> {
    let position = super::FIELDS.iter().position(|known| *known == field)?;
    Some(FIELD_MEANINGS[position])
}

/// In the order of [`super::FIELDS`].
const FIELD_MEANINGS: [Meaning; 13] = [
    Meaning::Id,
    Meaning::Title,
    Meaning::Abstract,
    Meaning::Authors,
    Meaning::Categories,
    Meaning::Published,
    Meaning::Updated,
    Meaning::Url,
    Meaning::PdfUrl,
    Meaning::CodeUrl,
    Meaning::Language,
    Meaning::Doi,
    Meaning::Arxiv,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_the_same_in_every_spelling() {
        for name in [
            "publication_date",
            "Publication Date",
            "publicationDate",
            "PUBLICATION-DATE",
        ] {
            assert_eq!(meaning(name), Some((Meaning::Published, 1)), "{name}");
        }
        assert_eq!(meaning("UT (Unique WOS ID)"), Some((Meaning::Id, 0)));
        for name in ["", "journal", "---", &"title".repeat(20)] {
            assert_eq!(meaning(name), None, "{name}");
        }
    }

    #[test]
    fn every_field_of_a_mapping_means_what_its_name_does() {
        for field in super::super::FIELDS {
            assert_eq!(of_field(field), meaning(field).map(|(meaning, _)| meaning), "{field}");
        }
        assert_eq!(of_field("journal"), None);
        assert_eq!(Meaning::Unused as usize + 1, MEANINGS);
    }
}
