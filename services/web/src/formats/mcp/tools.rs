//! The tools with their input and output schemas. All of them are read-only.

use serde_json::{Value, json};

use super::protocol::McpError;

/// Names of the tools.
pub const NAMES: [&str; 4] = ["search_papers", "get_paper", "similar_papers", "trending_papers"];

/// The list of tools; it has one page.
pub fn list(params: &Value) -> Result<Value, McpError> {
    if params["cursor"].as_str().is_some_and(|cursor| !cursor.is_empty()) {
        return Err(McpError::invalid_params(
            "cursor is not valid: this list has only one page",
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
    let query = "What the papers are about, in plain words or in the query language: \"a phrase\", -word, author:name, cat:cs.CL, \
                 year:2023..2025, has:code, like:<paper id>, AND, OR, NOT and parentheses.";
    let properties = json!({
        "query": { "type": "string", "minLength": 1, "maxLength": 8000, "description": query },
        "sort": {
            "type": "string",
            "enum": ["relevance", "newest", "trending"],
            "default": "relevance",
            "description": "Order of the results.",
        },
        "categories": categories(),
        "published_after": date("Only papers published on or after this date."),
        "published_before": date("Only papers published before this date."),
        "limit": limit(),
        "cursor": cursor(),
    });
    let description =
        "Searches research papers by meaning and by keyword, and returns the best matching sentence of each.";
    tool(
        "search_papers",
        "Search papers",
        description,
        &properties,
        &["query"],
        &list_schema(),
    )
}

fn get() -> Value {
    let id = "Paper id such as arxiv:2402.14776 or doi:10.1145/3292500. A bare arXiv id or DOI, or a link to arxiv.org or doi.org, \
              works too.";
    let properties = json!({ "id": { "type": "string", "minLength": 1, "maxLength": 256, "description": id } });
    let description = "Looks up one paper, with its full abstract, links and BibTeX citation.";
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
        "ids": ids(1, "Ids of papers that the results should resemble."),
        "unlike": ids(0, "Ids of papers that the results should not resemble."),
        "categories": categories(),
        "limit": limit(),
        "cursor": cursor(),
    });
    let description = "Finds papers similar to the given ones, and optionally unlike others.";
    tool(
        "similar_papers",
        "Find similar papers",
        description,
        &properties,
        &["ids"],
        &list_schema(),
    )
}

fn trending() -> Value {
    let window = json!({
        "type": "string",
        "enum": ["day", "week", "month"],
        "default": "day",
        "description": "The period over which attention counts.",
    });
    let properties = json!({ "window": window, "categories": categories(), "limit": limit(), "cursor": cursor() });
    let description =
        "Lists the papers that get the most attention from readers, compared with what is usual for their topic.";
    tool(
        "trending_papers",
        "List trending papers",
        description,
        &properties,
        &[],
        &list_schema(),
    )
}

fn categories() -> Value {
    json!({
        "type": "array",
        "items": { "type": "string" },
        "maxItems": 100,
        "description": "Only papers in at least one of these categories, such as cs.CL.",
    })
}

fn date(description: &str) -> Value {
    json!({ "type": "string", "format": "date", "description": description })
}

fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 50, "default": 10, "description": "Maximum number of papers to return." })
}

fn cursor() -> Value {
    json!({ "type": "string", "description": "next_cursor of the previous answer to the same arguments." })
}

fn list_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "papers": { "type": "array", "items": paper() },
            "next_cursor": { "type": "string", "description": "Absent on the last page." },
            "notice": { "type": "string", "description": "A caveat about the answer, such as its age." },
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
            "published": { "type": "string", "description": "Date, such as 2026-11-27; absent if unknown." },
            "url": { "type": "string", "description": "Where the paper can be read." },
            "page": { "type": "string", "description": "Its page on this site." },
            "excerpt": { "type": "string", "description": "The best matching sentence, or the beginning of the abstract." },
            "why": { "type": "string", "description": "Why the paper is in the list." },
        },
        "required": ["id", "title", "authors", "categories", "page"],
    })
}
