use super::*;

fn visitor(method: Method, path: &str, agent: &str) -> Visitor {
    let request = Request::builder().method(method).uri(path);
    let request = if agent.is_empty() { request } else { request.header(USER_AGENT, agent) };
    Visitor::new(&request.body(()).unwrap())
}

fn agent(agent: &str) -> Option<KeptOut> {
    visitor(Method::GET, "/", agent).kept_out(&CreationFilter::default())
}

fn path(path: &str) -> Option<KeptOut> {
    visitor(Method::GET, path, "Mozilla/5.0").kept_out(&CreationFilter::default())
}

#[test]
fn crawlers_and_previews_are_bots() {
    for bot in [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)",
        "Mozilla/5.0 (compatible; Daum/4.1; +http://cs.daum.net/faq/15/4118.html?faqId=28966)",
        "facebookexternalhit/1.1; kakaotalk-scrap/1.0; +https://devtalk.kakao.com/",
        "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
        "GPTBot/1.2",
    ] {
        assert_eq!(agent(bot), Some(KeptOut::Bot), "{bot}");
    }
}

#[test]
fn people_their_programs_and_their_telephones_are_not() {
    for person in [
        "",
        "curl/8.5.0",
        "okhttp/4.12.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/605.1 NAVER(inapp; search; 2000; 12.7.3)",
        "Mozilla/5.0 (Linux; Android 9; CUBOT P40) AppleWebKit/537.36 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537.36;KAKAOTALK 10.8.5",
        "Mozilla/5.0 (Linux; Android 14) Mobile Safari/537.36 DaumApps/1.0 DaumDevice/mobile",
    ] {
        assert_eq!(agent(person), None, "{person}");
    }
}

#[test]
fn health_checks_and_preflights_are_told_by_agent_and_method() {
    assert_eq!(agent("kube-probe/1.30"), Some(KeptOut::HealthCheck));
    assert_eq!(agent("ELB-HealthChecker/2.0"), Some(KeptOut::HealthCheck));
    let preflight = visitor(Method::OPTIONS, "/api", "Mozilla/5.0");
    assert_eq!(preflight.kept_out(&CreationFilter::default()), Some(KeptOut::HealthCheck));
}

#[test]
fn static_files_are_told_by_their_ending_and_images_are_not() {
    for file in ["/app.css", "/a/b/app.min.JS?v=3", "/favicon.ico", "/robots.txt", "/font.woff2"] {
        assert_eq!(path(file), Some(KeptOut::StaticFile), "{file}");
    }
    for page in
        ["/", "/css", "/app.css/edit", "/.css", "/captcha.png", "/report.txt", "/a.json", "/?x=/a.css"]
    {
        assert_eq!(path(page), None, "{page}");
    }
}

#[test]
fn each_part_can_be_switched_off_and_agents_added() {
    let bot = visitor(Method::OPTIONS, "/app.css", "Googlebot kube-probe/1 Mine/1");
    assert_eq!(bot.kept_out(&CreationFilter::off()), None);
    let own = CreationFilter { user_agents: vec!["".into(), "MINE/".into()], ..CreationFilter::off() };
    assert_eq!(bot.kept_out(&own), Some(KeptOut::Bot));
    assert_eq!(visitor(Method::GET, "/", "other").kept_out(&own), None);
}

#[test]
fn a_long_agent_is_looked_at_in_part() {
    let hidden = format!("{}Googlebot", "x".repeat(LOOKED_AT));
    assert_eq!(agent(&hidden), None);
}
