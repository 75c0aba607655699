//! Prompts: what operators ask most, as a way through the tools.

use rmcp::model::{GetPromptResult, Prompt, PromptMessage, Role};

const PROMPTS: [(&str, &str, &str); 6] = [
    (
        "what_is_wrong_now",
        "What is wrong now",
        "What is wrong now, and because of what? Call explain_incident without id, then list_incidents with state=active; for each \
         incident explain_incident with its id; look at its evidence with get_trace. Say cause, impact and what to do, with the ids \
         of the evidence. Use no number that is not in the answers.",
    ),
    (
        "performance_report",
        "Performance report",
        "Report on the performance of the last 24 hours: aggregate_traces by=performance and by=route with last=24h. Name the window \
         and its zone.",
    ),
    ("session_status", "Session status", "How are the sessions and their store? Call get_session_status."),
    (
        "failures_of_last_month",
        "Last month's failures",
        "What failed last month? Call list_incidents and aggregate_traces by=failures with from and to of the last calendar month in \
         Asia/Seoul; explain the gravest with explain_incident.",
    ),
    (
        "bottleneck",
        "Bottlenecks of the last hour",
        "Where does the time go, and what helps? Call aggregate_traces by=bottleneck with last=1h, and by=sql; look at one trace with \
         get_trace. Give each recommendation with its formula and its evidence.",
    ),
    (
        "capacity",
        "Capacity of next month",
        "Is there capacity for the next month? Ask me for the limit in requests a second if I have not named it, then call \
         forecast_exceedance with days=31. Say how much history it rests on.",
    ),
];

/// All prompts.
pub(super) fn list() -> Vec<Prompt> {
    let prompt = |(name, title, _): (&str, &str, &str)| Prompt::new(name, Some(title), None);
    PROMPTS.into_iter().map(prompt).collect()
}

/// One of them.
pub(super) fn get(name: &str) -> Option<GetPromptResult> {
    let (_, _, text) = PROMPTS.into_iter().find(|(known, ..)| *known == name)?;
    Some(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]))
}
