//! The tools, with what they take and give, as JSON Schema. All of them only read.

use serde_json::{Value, json};

use super::protocol::Failure;

/// Names of the tools.
pub const NAMES: [&str; 4] = ["search_papers", "get_paper", "similar_papers", "trending_papers"];

/// The list of tools; it has one page.
pub fn listed(params: &Value) -> Result<Value, Failure> {
    if params["cursor"].as_str().is_some_and(|cursor| !cursor.is_empty()) {
        return Err(Failure::invalid_params(
            "cursor is not one of this list, which has one page",
        ));
    }
    Ok(json!({ "tools": [search(), get(), similar(), trending()] }))
}

fn tool(name: &str, title: &str, description: &str, properties: &Value, required: &[&str], output: &Value) -> Value {
    json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        },
        "outputSchema": output,
        "annotations": {
            "title": title,
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false,
        },
    })
}

fn search() -> Value {
    let query = "What the papers are about, in words, or in the query language: \"a phrase\", -word, author:name, cat:cs.CL, \
                 year:2023..2025, has:code, like:<paper id>, AND, OR, NOT and parentheses.";
    let properties = json!({
        "query": { "type": "string", "minLength": 1, "maxLength": 8000, "description": query },
        "sort": {
            "type": "string",
            "enum": ["relevance", "newest", "trending"],
            "default": "relevance",
            "description": "The order of the papers.",
        },
        "categories": categories(),
        "published_after": date("Keep papers published on this day or later."),
        "published_before": date("Keep papers published before this day."),
        "limit": limit(),
        "cursor": cursor(),
    });
    let description = "Searches research papers by meaning and by words, and says for each which sentence fits.";
    tool(
        "search_papers",
        "Search papers",
        description,
        &properties,
        &["query"],
        &list(),
    )
}

fn get() -> Value {
    let id = "Canonical id such as arxiv:2402.14776 or doi:10.1145/3292500; a bare arXiv id or DOI, or an address of arxiv.org \
              or doi.org, is taken too.";
    let properties = json!({ "id": { "type": "string", "minLength": 1, "maxLength": 256, "description": id } });
    let description = "Looks up one paper with its whole abstract, its links and how to cite it (BibTeX).";
    let mut paper = paper();
    paper["properties"]["abstract"] = json!({ "type": "string" });
    paper["properties"]["bibtex"] = json!({ "type": "string" });
    paper["properties"]["links"] = json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": { "kind": { "type": "string" }, "url": { "type": "string" } },
            "required": ["kind", "url"],
        },
    });
    tool(
        "get_paper",
        "Look up a paper",
        description,
        &properties,
        &["id"],
        &paper,
    )
}

fn similar() -> Value {
    let ids = |least: u32, text: &str| json!({ "type": "array", "items": { "type": "string" }, "minItems": least, "maxItems": 20, "description": text });
    let properties = json!({
        "ids": ids(1, "Papers to be like, by id."),
        "unlike": ids(0, "Papers to be unlike, by id."),
        "categories": categories(),
        "limit": limit(),
        "cursor": cursor(),
    });
    let description = "Finds papers that are like some and unlike others.";
    tool(
        "similar_papers",
        "Find similar papers",
        description,
        &properties,
        &["ids"],
        &list(),
    )
}

fn trending() -> Value {
    let window = json!({
        "type": "string",
        "enum": ["day", "week", "month"],
        "default": "day",
        "description": "Over how long a time attention counts.",
    });
    let properties = json!({ "window": window, "categories": categories(), "limit": limit(), "cursor": cursor() });
    let description =
        "Lists the papers that readers pay the most attention to, compared with what is usual for their topic.";
    tool(
        "trending_papers",
        "See what is trending",
        description,
        &properties,
        &[],
        &list(),
    )
}

fn categories() -> Value {
    json!({
        "type": "array",
        "items": { "type": "string" },
        "maxItems": 100,
        "description": "Keep papers with at least one of these categories, such as cs.CL.",
    })
}

fn date(description: &str) -> Value {
    json!({ "type": "string", "format": "date", "description": description })
}

fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 50, "default": 10, "description": "Papers to return." })
}

fn cursor() -> Value {
    json!({ "type": "string", "description": "next_cursor of the answer before, to the same arguments." })
}

fn list() -> Value {
    json!({
        "type": "object",
        "properties": {
            "papers": { "type": "array", "items": paper() },
            "next_cursor": { "type": "string", "description": "Absent at the end." },
            "notice": { "type": "string", "description": "Why the answer is not as good as it could be." },
        },
        "required": ["papers"],
    })
}

fn paper() -> Value {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "properties": {
            "id": text(),
            "title": text(),
            "authors": texts(),
            "categories": texts(),
            "published": { "type": "string", "description": "A day, such as 2026-11-27." },
            "url": { "type": "string", "description": "Where it can be read." },
            "page": { "type": "string", "description": "Its page here." },
            "excerpt": { "type": "string", "description": "The sentence that fits best, or how the abstract begins." },
            "why": { "type": "string", "description": "Why it is in the list." },
        },
        "required": ["id", "title", "authors", "categories", "page"],
    })
}
