//! Names of Lambda functions.

/// The part of an address that names a function: `name`, `name:qualifier`, a whole ARN, or an ARN without its first parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FunctionName<'a> {
    /// Its own name.
    pub name: &'a str,
    /// A version or an alias.
    pub qualifier: Option<&'a str>,
}

impl<'a> FunctionName<'a> {
    /// Reads a name; `None` when it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (name, qualifier) = match parts.as_slice() {
            [name] => (*name, None),
            [name, qualifier] if *name != "function" => (*name, Some(*qualifier)),
            // `123456789012:function:name`, with the region or the whole `arn:aws:lambda:region:` before it.
            [.., "function", name] => (*name, None),
            [.., "function", name, qualifier] => (*name, Some(*qualifier)),
            _ => return None,
        };
        if parts.first() == Some(&"arn") && parts.get(2) != Some(&"lambda") {
            return None;
        }
        let plain = |text: &str, also: &str| {
            !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || also.contains(char))
        };
        let qualified = qualifier.is_none_or(|qualifier| plain(qualifier, "$-_"));
        (plain(name, "-_") && qualified).then_some(Self { name, qualifier })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_in_every_way_of_aws() {
        let parse = |text: &'static str| FunctionName::parse(text).map(|found| (found.name, found.qualifier));
        assert_eq!(parse("order-management"), Some(("order-management", None)));
        assert_eq!(parse("order-management:$LATEST"), Some(("order-management", Some("$LATEST"))));
        assert_eq!(parse("123456789012:function:f"), Some(("f", None)));
        assert_eq!(parse("eu-central-1:123456789012:function:f:prod"), Some(("f", Some("prod"))));
        assert_eq!(parse("arn:aws:lambda:eu-central-1:123456789012:function:f"), Some(("f", None)));
        assert_eq!(parse("arn:aws:lambda:eu-central-1:123456789012:function:f:7"), Some(("f", Some("7"))));
        for none in
            ["", ":", "f:", "a b", "a/b", "function:f", "arn:aws:sns:eu-central-1:123456789012:function:f", "a:b:c"]
        {
            assert_eq!(parse(none), None, "{none:?}");
        }
    }
}
