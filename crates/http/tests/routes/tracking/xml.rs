//! `POST /order/tracking` in XML: what is taken, and what bombs and slips are answered with.

use http::Method;
use serde_json::json;

use super::{WIRE, at, batch, event};
use crate::support::Shop;

const EVENT: &str =
    "<event><orderId>A</orderId><status>DELIVERED</status><eventTs>2026-03-01T10:00:00Z</eventTs></event>";

fn events(inner: &str) -> String {
    format!("<events>{inner}</events>")
}

#[tokio::test]
async fn the_published_sample_is_accepted() {
    let shop = Shop::new();
    let body = "<events>\n  <event>\n    <orderId>ORD-1001</orderId>\n    <status>OUT_FOR_DELIVERY</status>\n    \
        <eventTs>2025-08-01T10:15:30Z</eventTs>\n  </event>\n</events>\n";
    let reply = shop.track_xml(body).await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (202, "application/json"));
    assert_eq!(reply.text(), r#"[{"orderId":"ORD-1001","accepted":true,"published":true}]"#);
    // Both formats are one intake.
    let again = shop.post(WIRE, batch(vec![event("ORD-1001", "OUT_FOR_DELIVERY", "2025-08-01T12:15:30+02:00")])).await;
    assert_eq!(again.json()[0]["reason"], "duplicate");
}

#[tokio::test]
async fn what_xml_can_say_in_many_ways_is_the_same() {
    let shop = Shop::new();
    for body in [
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{}", events(EVENT)),
        format!("\u{feff}<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n{}", events(EVENT)),
        format!("<!-- a --><?pi x?>{}<!-- b -->", events(&format!("<!-- c -->{EVENT}"))),
        events("<event><eventTs>2026-03-01T10:00:00Z</eventTs><status>DELIVERED</status><orderId>A</orderId></event>"),
        events(
            "<event><orderId><![CDATA[A]]></orderId><status>DELI<![CDATA[VER]]>ED</status><eventTs>1772359200</eventTs></event>",
        ),
        events(
            "<event><orderId>&#65;</orderId><status>D&#x45;LIVERED</status><eventTs>\r\n 2026-03-01T10:00:00Z\r\n</eventTs></event>",
        ),
        events(
            "<event><orderId>A</orderId><status>DELIV<!-- x -->ERED</status><eventTs>2026-03-01T10:00:00Z</eventTs></event>",
        ),
        format!("<t:events xmlns:t='urn:t' a=\"&lt;>\">{}</t:events>", EVENT.replace("event>", "t:event>")),
        events(&format!("<sender><event><orderId/></event>text &amp; more</sender>{EVENT}")),
        events(&EVENT.replace("<status>", "<courier>x<y/></courier><status at='x'>")),
        format!("<events >{}</events\n>", EVENT.replace("</orderId>", "</orderId  >")),
    ] {
        let reply = shop.track_xml(body.clone()).await;
        assert_eq!(reply.status, 202, "{body}: {}", reply.text());
        assert_eq!(reply.json().as_array().unwrap().len(), 1, "{body}");
        assert_eq!(reply.json()[0]["orderId"], "A", "{body}");
        assert_eq!(reply.json()[0]["accepted"], true, "{body}");
    }
    assert_eq!(shop.get("/v1/tracking/A").await.json()["reports"]["moved"], 1, "it was always the same event");
}

#[tokio::test]
async fn characters_of_markup_and_of_any_script_are_taken() {
    let shop = Shop::new();
    let id = "&lt;&gt;&amp;&apos;&quot; ä日&#128230;";
    let body = events(&EVENT.replace(">A<", &format!(">{id}<")));
    let reply = shop.track_xml(body).await;
    assert_eq!(reply.json()[0]["orderId"], "<>&'\" ä日📦", "{}", reply.text());
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let shop = Shop::new();
    let mut laughs = String::from("<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\">");
    for level in 1..10 {
        let before = if level == 1 { "lol".to_owned() } else { format!("lol{}", level - 1) };
        laughs.push_str(&format!("<!ENTITY lol{level} \"{}\">", format!("&{before};").repeat(10)));
    }
    laughs.push_str(&format!("]>{}", events(&EVENT.replace(">A<", ">&lol9;<"))));
    let external = format!(
        "<!DOCTYPE events [<!ENTITY xxe SYSTEM \"file:///etc/passwd\">]>{}",
        events(&EVENT.replace(">A<", ">&xxe;<"))
    );
    let parameter =
        format!("<!DOCTYPE events [<!ENTITY % p SYSTEM \"http://127.0.0.1:1/x.dtd\"> %p;]>{}", events(EVENT));
    let deep = events(&format!("{}{}", "<a>".repeat(500_000), "</a>".repeat(500_000)));
    let unclosed = format!("<events>{}", "<a>".repeat(1_000_000));
    let attributes: String = (0..200_000).map(|number| format!(" a{number}='x'")).collect();
    for (body, words) in [
        (laughs, "DOCTYPE"),
        (external, "DOCTYPE"),
        (parameter, "DOCTYPE"),
        (format!("<!DOCTYPE events>{}", events(EVENT)), "DOCTYPE"),
        (format!("<!doctype events SYSTEM 'x'>{}", events(EVENT)), "DOCTYPE"),
        (format!("<!DOCTYPE events [{}", "<!ENTITY a 'b'>".repeat(10_000)), "DOCTYPE"),
        (events(&EVENT.replace(">A<", ">&lol;<")), "entities"),
        (deep, "deeper than 16"),
        (unclosed, "deeper than 16"),
        (events(&EVENT.replace("<orderId>", &format!("<orderId a='{}'>", "x".repeat(1_000_000)))), "4096 bytes"),
        (events(&EVENT.replace("<orderId>", &format!("<orderId{attributes}>"))), "4096 bytes"),
        (events(&EVENT.replace("<orderId>", &format!("<orderId{}>", &attributes[..600]))), "32 attributes"),
        (events(&EVENT.replace("orderId>", &format!("{}>", "n".repeat(1_000_000)))), "4096 bytes"),
        (format!("<events></{}>", "n".repeat(1_000_000)), "expected"),
    ] {
        let reply = shop.track_xml(body.clone()).await;
        reply.assert_problem(400, "malformed_xml");
        assert!(reply.text().contains(words), "{words}: {}", reply.text());
        assert!(reply.bytes.len() < 1_000, "what is long is not repeated");
    }
    assert!(!shop.has_parcels().await);
}

#[tokio::test]
async fn what_is_no_xml_is_malformed() {
    let shop = Shop::new();
    for body in [
        String::new(),
        " ".to_owned(),
        "{\"event\":[]}".to_owned(),
        "<events>".to_owned(),
        "<events><event></events></event>".to_owned(),
        "</events>".to_owned(),
        "<events/><events/>".to_owned(),
        "<events/>x".to_owned(),
        "x<events/>".to_owned(),
        "<![CDATA[x]]><events/>".to_owned(),
        "<![CDATA[ ]]><events/>".to_owned(),
        "<events/>&#32;".to_owned(),
        " <?xml version=\"1.0\"?><events/>".to_owned(),
        "<?xml version=\"2.0\"?><events/>".to_owned(),
        "<?xml encoding=\"UTF-8\"?><events/>".to_owned(),
        "<events><!-- a -- b --></events>".to_owned(),
        "<events><!-- a</events>".to_owned(),
        "<events><event a=1/></events>".to_owned(),
        "<events><event a='1' a='2'/></events>".to_owned(),
        "<events><></></events>".to_owned(),
        "<events>&#0;</events>".to_owned(),
        "<events>&#xD800;</events>".to_owned(),
        "<events>&#x110000;</events>".to_owned(),
        "<events>&amp</events>".to_owned(),
        "<events><![CDATA[x</events>".to_owned(),
        "<events><event".to_owned(),
    ] {
        let reply = shop.track_xml(body.clone()).await;
        assert_eq!(reply.problem(), (400, "malformed_xml".to_owned()), "{body}: {}", reply.text());
        assert!(reply.json()["detail"].as_str().unwrap().starts_with("at byte "), "{}", reply.text());
    }
}

#[tokio::test]
async fn xml_of_another_shape_says_where() {
    let shop = Shop::new();
    let second = |event: &str| events(&format!("{EVENT}{event}"));
    for (body, field) in [
        ("<batch/>".to_owned(), "(body)"),
        ("<events/>".to_owned(), "event"),
        (events("<Event/>"), "event"),
        (events("loose text"), "events"),
        (second("<event/>"), "event[1].orderId"),
        (second("<event>loose</event>"), "event[1]"),
        (second("<event>&#65;</event>"), "event[1]"),
        (second(&EVENT.replace(">A<", "> <")), "event[1].orderId"),
        (second(&EVENT.replace("<orderId>A</orderId>", "")), "event[1].orderId"),
        (second(&EVENT.replace(">A<", "><b>A</b><")), "event[1].orderId"),
        (second(&EVENT.replace("<orderId>", "<orderId/><orderId>")), "event[1].orderId"),
        (second(&EVENT.replace("DELIVERED", "LOST")), "event[1].status"),
        (second(&EVENT.replace("10:00:00Z", "10:00:00")), "event[1].eventTs"),
    ] {
        let reply = shop.track_xml(body.clone()).await;
        reply.assert_problem(400, "invalid_tracking");
        assert_eq!(reply.fields()[0], field, "{body}: {}", reply.text());
    }
    assert!(!shop.has_parcels().await);
}

#[tokio::test]
async fn another_encoding_is_refused_by_its_name() {
    let shop = Shop::new();
    let declared = |name: &str| format!("<?xml version=\"1.0\" encoding=\"{name}\"?>{}", events(EVENT)).into_bytes();
    let utf16: Vec<u8> = events(EVENT).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut latin1 = declared("ISO-8859-1");
    let place = latin1.windows(3).position(|bytes| bytes == b">A<").unwrap();
    latin1[place + 1] = 0xE4;
    for (body, words) in [
        (declared("ISO-8859-1"), "ISO-8859-1"),
        (declared("UTF-16"), "UTF-16"),
        (declared("US-ASCII"), "US-ASCII"),
        (latin1, "ISO-8859-1"),
        ([&[0xFF, 0xFE], &utf16[..]].concat(), "UTF-16"),
        (utf16, "UTF-16"),
        (b"<events>\xff</events>".to_vec(), "UTF-8"),
    ] {
        let reply = shop.track_xml(body).await;
        reply.assert_problem(400, "malformed_xml");
        assert!(reply.text().contains(words), "{words}: {}", reply.text());
    }
    for (kind, status) in [
        ("application/xml; charset=utf-8", 202),
        ("Application/XML;Charset=\"UTF-8\"", 202),
        ("application/xml; charset=iso-8859-1", 400),
    ] {
        let reply = shop.send(Method::POST, WIRE, &[("content-type", kind)], events(EVENT)).await;
        assert_eq!(reply.status.as_u16(), status, "{kind}: {}", reply.text());
    }
}

/// Every document that is one slip away from a right one is answered, and never with a 5xx.
#[tokio::test]
async fn no_slip_is_a_server_error() {
    let shop = Shop::new();
    let event = event("A", "DELIVERED", &at(10, 0));
    let xml =
        format!("<?xml version='1.0' encoding='UTF-8'?><!-- c --><events a='b'><x/>{EVENT}<![CDATA[ ]]>&#32;</events>");
    let samples = [("application/xml", xml), ("application/json", json!({ "event": [event] }).to_string())];
    for (kind, sample) in samples {
        let sample = sample.into_bytes();
        for place in 0..sample.len() {
            for byte in *b"<>&;!?-]'\"/= \0\xff{}[:,\\0" {
                let mut body = sample.clone();
                body[place] = byte;
                let reply = shop.send(Method::POST, WIRE, &[("content-type", kind)], body).await;
                let status = reply.status.as_u16();
                assert!(status == 202 || status == 400, "{place} {byte}: {}", reply.text());
            }
            let reply = shop.send(Method::POST, WIRE, &[("content-type", kind)], sample[..place].to_vec()).await;
            assert_eq!(reply.status, 400, "cut at {place}: {}", reply.text());
        }
    }
}
