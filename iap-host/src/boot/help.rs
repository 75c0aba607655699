//! Help for the assistant: language models with their keys, and runbooks.

use std::sync::Arc;

use iap_core::SystemClock;
use iap_core::upstream::UpstreamTls;
use iap_ops::Help;
use iap_ops::llm::{
    Bounds, BreakerSettings, BudgetSettings, Llm, LlmSettings, ProviderKind, ProviderSettings,
};
use iap_ops::masking::Masker;
use iap_ops::runbooks::{RunbookSettings, Runbooks};
use tokio::runtime::Handle;

use super::secret::read_secret;
use super::{BootError, failed};
use crate::config::{
    BoundsConfig, Environment, LlmConfig, LlmKind, OpsConfig, ProviderConfig, RunbooksConfig,
};

/// What the configuration wants. What `before` has spent counts on, and a folder that is known is not read again.
pub(super) fn make_help(
    config: &OpsConfig,
    environment: &Environment,
    before: Option<(&OpsConfig, &Help)>,
    runtime: &Handle,
) -> Result<Help, BootError> {
    let known = before.and_then(|(_, help)| help.llm.as_deref());
    let llm = match config.llm.is_used() {
        true => {
            let settings = settings(&config.llm, environment).map_err(failed("ops.llm"))?;
            let masker = Arc::new(Masker::without(&config.masking.classes_off()));
            let llm = Llm::new(settings, masker, Arc::new(SystemClock), known).map_err(failed("ops.llm"))?;
            Some(Arc::new(llm))
        }
        false => None,
    };
    let same = before.filter(|(before, _)| before.runbooks == config.runbooks);
    let runbooks = match same {
        Some((_, help)) => help.runbooks.clone(),
        None => open(&config.runbooks, runtime)?,
    };
    Ok(Help { llm, runbooks })
}

fn open(config: &RunbooksConfig, runtime: &Handle) -> Result<Option<Arc<Runbooks>>, BootError> {
    let Some(directory) = &config.directory else { return Ok(None) };
    let settings = RunbookSettings {
        directory: directory.clone(),
        every: config.every.0,
        max_files: config.max_files,
        max_file_bytes: config.max_file.0,
        max_bytes: config.max_total.0,
    };
    let runbooks = Runbooks::open(settings).map_err(failed("ops.runbooks.directory"))?;
    runbooks.watch(runtime);
    Ok(Some(runbooks))
}

fn settings(config: &LlmConfig, environment: &Environment) -> Result<LlmSettings, String> {
    let one = |config: &ProviderConfig| {
        provider(config, environment).map_err(|error| format!("{}: {error}", config.name))
    };
    Ok(LlmSettings {
        providers: config.providers.iter().map(one).collect::<Result<_, _>>()?,
        understand: config.uses.understand.clone(),
        word: config.uses.word.clone(),
        report: config.uses.report.clone(),
        budget: BudgetSettings { hour: bounds(config.budget.hour), day: bounds(config.budget.day) },
        breaker: BreakerSettings { failures: config.breaker.failures, pause: config.breaker.pause.0 },
        allow_residency: config.allow_residency.clone(),
        patience: config.timeout.map(|timeout| timeout.0),
    })
}

fn bounds(config: BoundsConfig) -> Bounds {
    Bounds { requests: config.requests, tokens: config.tokens, cost: config.cost }
}

fn provider(config: &ProviderConfig, environment: &Environment) -> Result<ProviderSettings, String> {
    let key = config.key.as_ref().map(|key| read_secret(key, environment)).transpose();
    let url = config.url.as_deref().or(config.kind.usual_url()).unwrap_or_default().to_owned();
    let tls = url.starts_with("https://").then(|| {
        let settings = config.tls.clone().unwrap_or_default().settings();
        UpstreamTls::load(&settings).map_err(|error| format!("tls: {error}"))
    });
    Ok(ProviderSettings {
        name: config.name.clone(),
        kind: match config.kind {
            LlmKind::Openai => ProviderKind::Openai,
            LlmKind::OpenaiCompatible => ProviderKind::OpenaiCompatible,
            LlmKind::Anthropic => ProviderKind::Anthropic,
            LlmKind::Gemini => ProviderKind::Gemini,
        },
        model: config.model.clone(),
        key: key.map_err(|error| format!("key: {error}"))?,
        tls: tls.transpose()?,
        context_tokens: config.context_tokens,
        max_output_tokens: config.max_output_tokens,
        max_reply_bytes: usize::try_from(config.max_reply.0).unwrap_or(usize::MAX),
        first_byte: config.first_byte.0,
        total: config.total.0,
        price: config.price.map(|price| (price.input, price.output)),
        residency: config.residency.clone(),
        url,
    })
}
