//! Credentials for object storage, found where the vendors' own tools find them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::settings::{Profile, Settings};

/// The values of a section, by key.
type Section = BTreeMap<String, String>;

/// The prefix of the vendor's variables for each scheme of object addresses.
const VARIABLES: &[(&str, &str)] = &[("s3", "AWS_"), ("gs", "GOOGLE_"), ("az", "AZURE_")];

/// The keys of a profile in `~/.aws`, with the variables that have the same meaning.
const AWS_KEYS: &[(&str, &str)] = &[
    ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("aws_session_token", "AWS_SESSION_TOKEN"),
    ("web_identity_token_file", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("role_arn", "AWS_ROLE_ARN"),
    ("role_session_name", "AWS_ROLE_SESSION_NAME"),
    ("region", "AWS_REGION"),
];

/// The credentials for a profile, by variable name. Empty unless the platform is object storage.
pub fn object_credentials(settings: &Settings, profile: &Profile) -> Result<BTreeMap<String, Secret>> {
    let Some(scheme) = profile.spec.scheme else { return Ok(BTreeMap::new()) };
    credentials_for(settings, scheme, profile.set.get("aws_profile").map(|named| named.value.as_str()))
}

/// The credentials for object addresses with this scheme, by variable name. `named` is a profile in `~/.aws`.
pub fn credentials_for(
    settings: &Settings,
    scheme: &str,
    named: Option<&str>,
) -> Result<BTreeMap<String, Secret>> {
    let Some((_, start)) = VARIABLES.iter().find(|(known, _)| *known == scheme) else {
        return Ok(BTreeMap::new());
    };
    let variables = settings.env.with_prefix(start);
    let mut found: BTreeMap<String, Secret> =
        variables.map(|(name, value)| (format!("{start}{name}"), Secret::new(value))).collect();
    if scheme == "s3" {
        add_aws_profile(settings, named, &mut found)?;
    }
    if scheme == "gs" && !found.keys().any(|name| name.starts_with("GOOGLE_")) {
        // The file that `gcloud auth application-default login` writes.
        let file =
            dirs::home_dir().map(|home| home.join(".config/gcloud/application_default_credentials.json"));
        if let Some(path) = file.filter(|path| path.exists()) {
            found.insert("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), Secret::new(&path.to_string_lossy()));
        }
    }
    Ok(found)
}

/// Adds the values of a profile in `~/.aws`. The values of the profile `named` replace variables; those of the profile
/// in `AWS_PROFILE` or of the default profile do not.
fn add_aws_profile(
    settings: &Settings,
    named: Option<&str>,
    found: &mut BTreeMap<String, Secret>,
) -> Result<()> {
    let has_keys =
        found.contains_key("AWS_ACCESS_KEY_ID") || found.contains_key("AWS_WEB_IDENTITY_TOKEN_FILE");
    if named.is_none() && has_keys {
        return Ok(());
    }
    let chosen = named.or_else(|| settings.env.get("AWS_PROFILE"));
    let name = chosen.unwrap_or("default");
    let path = |variable: &str, file: &str| {
        settings.env.path(variable).or_else(|| Some(dirs::home_dir()?.join(".aws").join(file)))
    };
    let config = section(path("AWS_CONFIG_FILE", "config"), |title| {
        title == name || title.strip_prefix("profile ").is_some_and(|title| title.trim() == name)
    })?;
    let keys = section(path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), |title| title == name)?;
    if config.is_none() && keys.is_none() {
        return match chosen {
            Some(name) => Err(Error::usage(format!("~/.aws has no profile {name:?}"))
                .hint("to list the profiles: `aws configure list-profiles`")),
            None => Ok(()),
        };
    }
    let mut values = config.unwrap_or_default();
    values.extend(keys.unwrap_or_default());
    if named.is_some() {
        // Drop the variables that correspond to keys of a profile, so that the two are not mixed.
        found.retain(|name, _| !AWS_KEYS.iter().any(|(_, variable)| variable == name));
    }
    // A role without a web identity token needs another profile's keys, so only its region is used.
    let is_role = values.contains_key("role_arn") && !values.contains_key("web_identity_token_file");
    for (key, variable) in AWS_KEYS.iter().filter(|(key, _)| !is_role || *key == "region") {
        if let Some(value) = values.get(*key) {
            found.entry((*variable).to_owned()).or_insert_with(|| Secret::new(value));
        }
    }
    Ok(())
}

/// The section of a file whose title `is_wanted`. Returns `None` if the file or the section is missing.
fn section(path: Option<PathBuf>, is_wanted: impl Fn(&str) -> bool) -> Result<Option<Section>> {
    let Some(path) = path else { return Ok(None) };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse(&text, is_wanted)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path, error)),
    }
}

fn parse(text: &str, is_wanted: impl Fn(&str) -> bool) -> Option<Section> {
    let mut found: Option<Section> = None;
    let mut is_inside = false;
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            is_inside = is_wanted(title.trim());
            if is_inside {
                found.get_or_insert_default();
            }
        } else if let (Some(section), Some((key, value))) = (&mut found, line.split_once('='))
            && is_inside
            && !is_nested
        {
            let value = value.split_once(" #").map_or(value, |(value, _)| value).trim();
            section.insert(key.trim().to_ascii_lowercase(), value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_its_title() {
        let text = "# comment\n[default]\naws_access_key_id = A\n\n[ profile work ]\nregion=eu-west-1 # near\n\
                    s3 =\n  region = nested\nAWS_Secret_Access_Key = a=b#c\n;x = 1\n[other]\nregion = no\n";
        let find = |name: &str| parse(text, |title| title == name);
        let work = find("profile work").unwrap();
        assert_eq!(work["region"], "eu-west-1");
        assert_eq!(work["aws_secret_access_key"], "a=b#c");
        assert_eq!(find("default").unwrap()["aws_access_key_id"], "A");
        assert_eq!(find("missing"), None);
        assert_eq!(parse("key = value\n[x", |_| true).map(|section| section.len()), Some(0));
    }
}
