//! Text in HTML.

/// `text` as it stands in an element, or in an attribute between quotes.
///
/// ```
/// assert_eq!(iap_core::html::escape("<b> & 'c'"), "&lt;b&gt; &amp; &#39;c&#39;");
/// ```
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
