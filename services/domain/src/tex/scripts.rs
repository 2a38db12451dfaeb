//! Superscripts and subscripts as the characters that Unicode has for them.

const SUPERSCRIPTS: &str = "0⁰1¹2²3³4⁴5⁵6⁶7⁷8⁸9⁹+⁺-⁻−⁻=⁼(⁽)⁾aᵃbᵇcᶜdᵈeᵉfᶠgᵍhʰiⁱjʲkᵏlˡmᵐnⁿoᵒpᵖrʳsˢtᵗuᵘvᵛwʷxˣyʸzᶻAᴬBᴮDᴰEᴱGᴳHᴴIᴵJᴶKᴷLᴸMᴹNᴺOᴼPᴾRᴿTᵀUᵁVⱽWᵂαᵅβᵝγᵞδᵟεᵋθᶿ";
const SUBSCRIPTS: &str = "0₀1₁2₂3₃4₄5₅6₆7₇8₈9₉+₊-₋−₋=₌(₍)₎aₐeₑhₕiᵢjⱼkₖlₗmₘnₙoₒpₚrᵣsₛtₜuᵤvᵥxₓβᵦγᵧρᵨφᵩχᵪ";

/// A superscript: in characters of Unicode where it has all of them, else `^{…}`.
pub fn superscript(text: &str) -> String {
    script(text, SUPERSCRIPTS, '^')
}

/// A subscript: in characters of Unicode where it has all of them, else `_{…}`.
pub fn subscript(text: &str) -> String {
    script(text, SUBSCRIPTS, '_')
}

fn script(text: &str, table: &str, sign: char) -> String {
    let text = text.trim();
    let raised = |c: char| {
        let mut pairs = table.chars();
        while let (Some(from), Some(to)) = (pairs.next(), pairs.next()) {
            if from == c {
                return Some(to);
            }
        }
        None
    };
    let all: Option<String> = text.chars().map(raised).collect();
    all.unwrap_or_else(|| format!("{sign}{{{text}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_characters_where_there_are_all() {
        assert_eq!(superscript("-3"), "⁻³");
        assert_eq!(superscript("n+1"), "ⁿ⁺¹");
        assert_eq!(superscript("th"), "ᵗʰ");
        assert_eq!(superscript("a/b"), "^{a/b}");
        assert_eq!(subscript("2"), "₂");
        assert_eq!(subscript("2.5"), "_{2.5}");
        assert_eq!(subscript("c"), "_{c}");
        assert_eq!(superscript(" "), "");
    }

    #[test]
    fn the_tables_hold_pairs() {
        for table in [SUPERSCRIPTS, SUBSCRIPTS] {
            assert_eq!(table.chars().count() % 2, 0);
        }
    }
}
