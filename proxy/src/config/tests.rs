//! Tables of what the evaluator decides. The scenarios of `test/scenarios` say the same end to end.

use std::sync::Arc;

use super::{
    cluster::{Cluster, Health, Place, Proof, Protocol, Security},
    fold::PathRule,
    inbound::{Door, Guard, Incoming, Unjudgeable, Verdict},
    path::BadPath,
    route::PathMatch,
    rules::{Call, IdentityMatch, Permission, Principal, Reading, Rule, RuleName, Rules},
};
use crate::base::spiffe::SpiffeId;

fn id(account: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://sluice.local/ns/shop/sa/{account}")).unwrap()
}

fn who(account: &str) -> Principal {
    Principal::Identity(IdentityMatch::Exact(id(account).as_str().into()))
}

fn rule(name: &str, principals: Vec<Principal>, permissions: Vec<Permission>) -> Rule {
    Rule { name: RuleName::new(name), principals, permissions }
}

fn rules(rules: Vec<Rule>) -> Rules {
    Rules::new(rules)
}

fn anything() -> Vec<Permission> {
    vec![Permission::Anything]
}

fn prefix(text: &str) -> Permission {
    Permission::Path(PathRule::new(PathMatch::Prefix(text.into())))
}

fn call(peer: Option<&SpiffeId>) -> Call<'_> {
    Call { peer, remote: "127.0.0.1".parse().unwrap(), method: "GET", path: "/items", folded: "/items/" }
}

/// A sentence, a rule, a caller, and whether the rule means the call.
type Case<'a> = (&'a str, Vec<Principal>, Vec<Permission>, Option<&'a SpiffeId>, bool);

#[test]
fn principals_and_permissions_mean_what_they_say() {
    let web = id("web");
    let network =
        |text: &str, length| Principal::From(super::network::Network::new(text.parse().unwrap(), length).unwrap());
    let named = || Principal::Identity(IdentityMatch::Any);
    let starting = |text: &str| Principal::Identity(IdentityMatch::Prefix(text.into()));
    let get = || Permission::Method("GET".into());
    let items = || Permission::Path(PathRule::new(PathMatch::Exact("/items".into())));
    let cases: Vec<Case<'_>> = vec![
        ("anyone is anyone", vec![Principal::Anyone], anything(), None, true),
        ("who proved something is somebody", vec![named()], anything(), Some(&web), true),
        ("who proved nothing is nobody", vec![named()], anything(), None, false),
        ("an identity is itself", vec![who("web")], anything(), Some(&web), true),
        ("an identity is no other", vec![who("we")], anything(), Some(&web), false),
        ("a beginning is enough", vec![starting("spiffe://sluice.local/ns/shop/")], anything(), Some(&web), true),
        ("another beginning is not", vec![starting("spiffe://sluice.local/ns/sh/")], anything(), Some(&web), false),
        ("an address is in its network", vec![network("127.0.0.0", 8)], anything(), None, true),
        ("an address is in no other", vec![network("10.0.0.0", 8)], anything(), None, false),
        ("all means all", vec![Principal::All(vec![named(), network("10.0.0.0", 8)])], anything(), Some(&web), false),
        ("one of means one", vec![Principal::OneOf(vec![who("a"), who("web")])], anything(), Some(&web), true),
        ("not means not", vec![Principal::Not(Box::new(Principal::Anyone))], anything(), Some(&web), false),
        ("any principal will do", vec![who("a"), who("web")], anything(), Some(&web), true),
        ("no principal means nobody", vec![], anything(), Some(&web), false),
        ("no permission means nothing", vec![Principal::Anyone], vec![], Some(&web), false),
        ("a method is itself", vec![named()], vec![get()], Some(&web), true),
        ("a method minds its case", vec![named()], vec![Permission::Method("get".into())], Some(&web), false),
        ("a path is itself", vec![named()], vec![items()], Some(&web), true),
        ("a path is no longer one", vec![named()], vec![prefix("/items/")], Some(&web), false),
        ("both must hold", vec![named()], vec![Permission::All(vec![get(), prefix("/x")])], Some(&web), false),
        ("either may hold", vec![named()], vec![Permission::OneOf(vec![prefix("/x"), get()])], Some(&web), true),
        ("neither may hold", vec![named()], vec![Permission::Not(Box::new(get()))], Some(&web), false),
    ];
    for (sentence, principals, permissions, peer, means) in cases {
        assert_eq!(rule("r", principals, permissions).means(call(peer), Reading::Strict), means, "{sentence}");
    }
}

#[test]
fn any_deny_wins_and_what_no_allow_names_stays_shut() {
    let (web, job, cart) = (id("web"), id("job"), id("cart"));
    let guard = Guard {
        deny: rules(vec![rule("shop/no-job/0", vec![who("job")], anything())]),
        allow: rules(vec![
            rule("shop/open/1", vec![Principal::Identity(IdentityMatch::Any)], vec![prefix("/items")]),
            rule("shop/open/0", vec![who("web"), who("job")], anything()),
            rule("shop/more/0", vec![who("cron")], anything()),
        ]),
        ..Guard::default()
    };
    let open_0 = RuleName::new("shop/open/0");
    let open_1 = RuleName::new("shop/open/1");
    let no_job = RuleName::new("shop/no-job/0");
    let decide = |peer| guard.decide(call(peer)).verdict;
    assert_eq!(decide(Some(&web)), Verdict::Allowed(&open_0), "the first rule by name");
    assert_eq!(decide(Some(&cart)), Verdict::Allowed(&open_1));
    assert_eq!(decide(Some(&job)), Verdict::Denied(&no_job));
    let Verdict::NoRule { closed_by } = decide(None) else { panic!("nobody may not pass") };
    assert_eq!(closed_by.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["shop/more", "shop/open"]);
    assert_eq!(guard.decide(call(None)).audit, None, "nothing is audited");
}

#[test]
fn the_default_of_the_mesh_is_no_policy() {
    let guard = Guard {
        allow: rules(vec![rule("default/all-authenticated", vec![who("web")], anything())]),
        ..Guard::default()
    };
    assert_eq!(guard.decide(call(None)).verdict, Verdict::NoRule { closed_by: &[] });
    assert_eq!(Guard::default().decide(call(None)).verdict, Verdict::NoRule { closed_by: &[] }, "no rule, no way");
}

#[test]
fn an_audit_says_what_would_be_enforced() {
    let web = id("web");
    let all = || rules(vec![rule("default/audit", vec![Principal::Anyone], anything())]);
    let only = |account: &str| rules(vec![rule("shop/only/0", vec![who(account)], anything())]);
    let cases: Vec<(&str, Guard, Option<bool>)> = vec![
        (
            "an audited allow that names the caller",
            Guard { audited_allow: Some(only("web")), allow: all(), ..Guard::default() },
            Some(true),
        ),
        (
            "an audited allow that does not",
            Guard { audited_allow: Some(only("job")), allow: all(), ..Guard::default() },
            Some(false),
        ),
        (
            "an audited allow without rules",
            Guard { audited_allow: Some(Rules::default()), allow: all(), ..Guard::default() },
            Some(false),
        ),
        (
            "an audited deny that means the call",
            Guard { audited_deny: Some(only("web")), allow: all(), ..Guard::default() },
            Some(false),
        ),
        (
            "an audited deny that does not",
            Guard { audited_deny: Some(only("job")), allow: all(), ..Guard::default() },
            Some(true),
        ),
        (
            "an enforced deny beside an audited allow",
            Guard { deny: only("web"), audited_allow: Some(only("web")), allow: all(), ..Guard::default() },
            Some(false),
        ),
        ("nothing audited", Guard { allow: all(), ..Guard::default() }, None),
    ];
    for (sentence, guard, passes) in cases {
        let judgement = guard.decide(call(Some(&web)));
        assert_eq!(judgement.audit.map(|verdict| verdict.passes()), passes, "{sentence}");
        assert_eq!(judgement.verdict.passes(), guard.deny == Rules::default(), "{sentence}");
    }
}

#[test]
fn a_door_judges_the_path_that_it_hands_on() {
    let web = id("web");
    let guard = Guard {
        deny: rules(vec![rule("shop/secrets/0", vec![Principal::Anyone], vec![prefix("/secret/")])]),
        allow: rules(vec![rule("shop/all/0", vec![Principal::Anyone], anything())]),
        ..Guard::default()
    };
    let door = |normalise_paths| Door { guard: guard.clone(), normalise_paths, idle_timeout: None };
    let request = |method, path| Incoming { peer: Some(&web), remote: "127.0.0.1".parse().unwrap(), method, path };
    let normal = door(true);
    let judged = normal.judge(request("GET", "/x/../secret//7")).unwrap();
    assert_eq!((&*judged.path, judged.judgement.verdict.passes()), ("/secret/7", false));
    assert_eq!(normal.judge(request("GET", "/a%2Fb")), Err(BadPath::EncodedSlash.into()));
    assert!(normal.judge(request("OPTIONS", "*")).unwrap().judgement.verdict.passes());
    assert_eq!(normal.judge(request("GET", "*")), Err(BadPath::Relative.into()));
    let plain = door(false);
    assert_eq!(plain.judge(request("GET", "/a%2F../b")).unwrap().path, "/a%2F../b", "left as it came");
}

#[test]
fn a_denial_reads_paths_widely_and_an_allowance_strictly() {
    let path = |written| Permission::Path(PathRule::new(written));
    let admin = || path(PathMatch::Exact("/admin".into()));
    let not = |what| Permission::Not(Box::new(what));
    let below = || path(PathMatch::Prefix("/admin/".into()));
    // The permission of a rule, a path; whether the rule denies it, and whether it allows it.
    let cases = [
        (admin(), "/admin", true, true),
        (admin(), "/Admin", true, false),
        (admin(), "/admin/", true, false),
        (admin(), "/;/admin", true, false),
        (admin(), "/admin%3fx", true, false),
        (admin(), "/admins", false, false),
        (below(), "/admin;x/users", true, false),
        (below(), "/ADMIN/users", true, false),
        (below(), "/admin", true, false),
        // "All but /admin": nothing that may be it is let in, and nothing that is not it for certain is spared.
        (not(admin()), "/admin", false, false),
        (not(admin()), "/Admin", true, false),
        (not(admin()), "/items", true, true),
        (not(not(admin())), "/Admin", true, false),
        (Permission::All(vec![admin(), Permission::Method("GET".into())]), "/ADMIN", true, false),
        (Permission::OneOf(vec![prefix("/x/"), admin()]), "/ADMIN", true, false),
    ];
    for (permission, path, denied, allowed) in cases {
        let door = |deny, allow| Door {
            guard: Guard { deny: rules(deny), allow: rules(allow), ..Guard::default() },
            normalise_paths: true,
            idle_timeout: None,
        };
        let all = rule("shop/all/0", vec![Principal::Anyone], anything());
        let this = rule("shop/this/0", vec![Principal::Anyone], vec![permission.clone()]);
        let request = Incoming { peer: None, remote: "127.0.0.1".parse().unwrap(), method: "GET", path };
        let passes = |door: &Door| door.judge(request).unwrap().judgement.verdict.passes();
        assert_eq!(!passes(&door(vec![this.clone()], vec![all])), denied, "deny {permission:?} {path}");
        assert_eq!(passes(&door(vec![], vec![this])), allowed, "allow {permission:?} {path}");
    }
}

#[test]
fn a_method_is_judged_only_as_rules_write_it() {
    let guard =
        Guard { allow: rules(vec![rule("shop/all/0", vec![Principal::Anyone], anything())]), ..Guard::default() };
    for normalise_paths in [true, false] {
        let door = Door { guard: guard.clone(), normalise_paths, idle_timeout: None };
        let judge = |method| {
            door.judge(Incoming { peer: None, remote: "127.0.0.1".parse().unwrap(), method, path: "/x" }).map(drop)
        };
        for (method, judged) in [
            ("DELETE", Ok(())),
            ("M-SEARCH", Ok(())),
            ("delete", Err(Unjudgeable::Method)),
            ("DELETe", Err(Unjudgeable::Method)),
        ] {
            assert_eq!(judge(method), judged, "{method}");
        }
    }
}

#[test]
fn what_an_endpoint_has_to_prove_is_for_its_backend_to_say_or_for_its_mark() {
    let ids: Arc<[SpiffeId]> = Arc::new([SpiffeId::parse("spiffe://sluice.local/ns/shop/sa/cart").unwrap()]);
    let mutual = Security::MutualTls(ids.clone());
    let cases = [
        (Proof::OfAll(Security::Plaintext), true, Security::Plaintext),
        (Proof::OfAll(mutual.clone()), false, mutual.clone()),
        (Proof::OfMarked(ids.clone()), true, mutual),
        (Proof::OfMarked(ids), false, Security::Plaintext),
    ];
    for (proof, mutual, expected) in cases {
        let place = Place { address: "127.0.0.1:1".parse().unwrap(), mutual, health: Health::Fit };
        let cluster = Cluster {
            endpoints: "e".into(),
            connect_timeout: std::time::Duration::from_secs(1),
            proof,
            protocol: Protocol::AsCalled,
        };
        assert_eq!(cluster.security(&place), expected, "{cluster:?}");
    }
}
