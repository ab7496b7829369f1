//! An instance of a service, as Curator's `ServiceInstance` is written: JSON, field by field and in that order.

use crate::unique;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// What Spring Cloud calls its payload.
const SPRING_CLASS: &str = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance";
/// Where Spring Cloud says whether an instance serves, and that it does.
const SPRING_STATUS: &str = "instance_status";
const SPRING_UP: &str = "UP";
const SPRING_OUT: &str = "OUT_OF_SERVICE";

/// How long the node of an instance lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceType {
    /// As long as a session.
    #[default]
    Dynamic,
    /// Until it is unregistered.
    Static,
    /// Until it is unregistered.
    Permanent,
    /// As long as a session, with a number at the end of its name. Read, not written: Curator registers such an
    /// instance anew under another name whenever its connection comes back.
    DynamicSequential,
}

/// A part of a [`UriSpec`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Part {
    value: String,
    variable: bool,
}

/// How the address of an instance is put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UriSpec {
    parts: Vec<Part>,
}

impl UriSpec {
    /// Reads text such as `{scheme}://{address}:{port}`. Variables are `scheme`, `name`, `id`, `address`, `port`,
    /// `ssl-port`, `registration-time-utc` and `service-type`; `{[}` and `{]}` stand for braces.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut put = |value: &str, variable| {
            if !value.is_empty() {
                let value = value.to_owned();
                parts.push(Part { value, variable });
            }
        };
        let mut rest = text;
        while let Some((literal, variable, behind)) = rest.split_once('{').and_then(|(a, b)| {
            let (variable, behind) = b.split_once('}')?;
            Some((a, variable, behind))
        }) {
            put(literal, false);
            put(variable.trim(), true);
            rest = behind;
        }
        put(rest, false);
        Self { parts }
    }

    fn build(&self, of: &Instance) -> String {
        let value = |part: &Part| {
            if !part.variable {
                return part.value.clone();
            }
            let number = |it: Option<u16>| it.map(|it| it.to_string()).unwrap_or_default();
            match part.value.as_str() {
                "scheme" if of.ssl_port.is_some() => "https".to_owned(),
                "scheme" => "http".to_owned(),
                "name" => of.service.clone(),
                "id" => of.id.clone(),
                "address" => of.address.clone().unwrap_or_default(),
                "port" => number(of.port),
                "ssl-port" => number(of.ssl_port),
                "registration-time-utc" => of.registration_time_utc.to_string(),
                "service-type" => of.service_type.name().to_owned(),
                "[" => "{".to_owned(),
                "]" => "}".to_owned(),
                _ => String::new(),
            }
        };
        self.parts.iter().map(value).collect()
    }
}

impl ServiceType {
    const fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
            Self::Permanent => "permanent",
            Self::DynamicSequential => "dynamic_sequential",
        }
    }
}

/// What an instance carries besides: JSON that is kept as it was written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Payload(Option<Box<RawValue>>);

impl Payload {
    fn text(&self) -> &str {
        self.0.as_ref().map_or("null", |raw| raw.get())
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

/// Spring Cloud's payload.
#[derive(Serialize, Deserialize)]
struct Spring {
    #[serde(rename = "@class")]
    class: String,
    id: String,
    name: String,
    metadata: BTreeMap<String, String>,
}

/// An instance of a service: where it is, and what it says of itself.
///
/// ```
/// use zk_recipes::Instance;
///
/// let shop = Instance::new("shop").id("shop-1").address("10.0.0.1").port(8080).uri("{scheme}://{address}:{port}/shop");
/// assert_eq!(shop.url().as_deref(), Some("http://10.0.0.1:8080/shop"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    #[serde(default, rename = "name")]
    service: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    ssl_port: Option<u16>,
    #[serde(default)]
    payload: Payload,
    #[serde(default, rename = "registrationTimeUTC")]
    registration_time_utc: i64,
    #[serde(default, deserialize_with = "or_default")]
    service_type: ServiceType,
    #[serde(default)]
    uri_spec: Option<UriSpec>,
    /// Curator writes it only where it is told to; whoever does not know it is up.
    #[serde(
        default = "yes",
        deserialize_with = "or_yes",
        skip_serializing_if = "is_yes"
    )]
    enabled: bool,
    /// Text among the payload's `metadata`.
    #[serde(skip)]
    metadata: BTreeMap<String, String>,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's")]
const fn is_yes(it: &bool) -> bool {
    *it
}

fn or_yes<'de, D: serde::Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or(true))
}

fn or_default<'de, D: serde::Deserializer<'de>>(source: D) -> Result<ServiceType, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or_default())
}

impl Instance {
    /// An instance of this service, with an id of its own, registered now.
    pub fn new(service: impl Into<String>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
        Self {
            service: service.into(),
            id: unique::hyphenated(),
            address: None,
            port: None,
            ssl_port: None,
            payload: Payload::default(),
            registration_time_utc: millis,
            service_type: ServiceType::Dynamic,
            uri_spec: None,
            enabled: true,
            metadata: BTreeMap::new(),
        }
    }

    /// Another id: the name of its node.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The host.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The port.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The port for TLS; Spring Cloud then uses it instead of the other.
    #[must_use]
    pub const fn ssl_port(mut self, port: u16) -> Self {
        self.ssl_port = Some(port);
        self
    }

    /// How long its node lives.
    #[must_use]
    pub const fn service_type(mut self, service_type: ServiceType) -> Self {
        self.service_type = service_type;
        self
    }

    /// How its address is put together; see [`UriSpec::parse`].
    #[must_use]
    pub fn uri(mut self, spec: &str) -> Self {
        self.uri_spec = Some(UriSpec::parse(spec));
        self
    }

    /// When it was registered, in milliseconds since 1970. Java takes an instance with another time for another.
    #[must_use]
    pub const fn registered_at(mut self, millis: i64) -> Self {
        self.registration_time_utc = millis;
        self
    }

    /// Anything besides. For Java an object needs a field `@class` with a class that the reader has.
    ///
    /// # Errors
    ///
    /// What serde says of a value that is no JSON.
    pub fn payload(mut self, payload: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.payload = Payload(Some(to_raw_value(payload)?));
        self.read_metadata();
        Ok(self)
    }

    /// Spring Cloud's payload, which says that the instance is up, with more text beside it.
    ///
    /// # Errors
    ///
    /// None in truth: text is JSON.
    pub fn spring(
        self,
        metadata: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, serde_json::Error> {
        let mut all = BTreeMap::from([(SPRING_STATUS.to_owned(), SPRING_UP.to_owned())]);
        all.extend(metadata);
        let spring = Spring {
            class: SPRING_CLASS.to_owned(),
            id: self.id.clone(),
            name: self.service.clone(),
            metadata: all,
        };
        let spec = self.uri_spec.clone();
        let spec = spec.unwrap_or_else(|| UriSpec::parse("{scheme}://{address}:{port}"));
        let instance = Self {
            uri_spec: Some(spec),
            ..self
        };
        instance.payload(&spring)
    }

    /// Reads what a node holds. The node's name is its id.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn decode(service: &str, id: &str, data: &[u8]) -> Result<Self, serde_json::Error> {
        // Of a list serde would take the fields one after the other.
        if data.trim_ascii_start().first() == Some(&b'[') {
            return Err(serde::de::Error::custom("an instance is an object"));
        }
        let mut instance: Self = serde_json::from_slice(data)?;
        id.clone_into(&mut instance.id);
        if instance.service.is_empty() {
            service.clone_into(&mut instance.service);
        }
        instance.read_metadata();
        Ok(instance)
    }

    /// The bytes of its node.
    ///
    /// # Errors
    ///
    /// None in truth: it is JSON.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn read_metadata(&mut self) {
        #[derive(Deserialize)]
        struct Any {
            #[serde(default)]
            metadata: BTreeMap<String, serde_json::Value>,
        }
        let any = serde_json::from_str::<Any>(self.payload.text());
        let any = any.map(|any| any.metadata).unwrap_or_default();
        let text = |(key, value): (String, serde_json::Value)| {
            let value = value.as_str()?.to_owned();
            Some((key, value))
        };
        self.metadata = any.into_iter().filter_map(text).collect();
    }

    /// The same, in service or not: for Curator by `enabled`, for Spring Cloud by its status.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        if let Ok(mut spring) = serde_json::from_str::<Spring>(self.payload.text()) {
            let status = if enabled { SPRING_UP } else { SPRING_OUT };
            spring
                .metadata
                .insert(SPRING_STATUS.to_owned(), status.to_owned());
            if let Ok(raw) = to_raw_value(&spring) {
                self.payload = Payload(Some(raw));
                self.read_metadata();
            }
        }
        self
    }

    /// Whether it may be picked: neither Curator's nor Spring Cloud's way of saying no is there.
    pub fn is_enabled(&self) -> bool {
        let status = self.metadata.get(SPRING_STATUS);
        self.enabled && status.is_none_or(|status| status == SPRING_UP)
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Its id.
    pub fn name(&self) -> &str {
        &self.id
    }

    /// The host, if it is known.
    pub fn host(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The port, and the one for TLS.
    pub const fn ports(&self) -> (Option<u16>, Option<u16>) {
        (self.port, self.ssl_port)
    }

    /// How long its node lives.
    pub const fn kind(&self) -> ServiceType {
        self.service_type
    }

    /// When it was registered, in milliseconds since 1970.
    pub const fn registration_time(&self) -> i64 {
        self.registration_time_utc
    }

    /// Its address, put together as it wishes; `None` if it does not say how.
    pub fn url(&self) -> Option<String> {
        self.uri_spec.as_ref().map(|spec| spec.build(self))
    }

    /// What it carries besides, as JSON.
    pub fn payload_text(&self) -> &str {
        self.payload.text()
    }

    /// What it carries besides, as a value. `@class` is a field like others.
    ///
    /// # Errors
    ///
    /// What serde says if it is no such value.
    pub fn payload_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.text())
    }

    /// Text among the `metadata` of what it carries, where Spring Cloud and others put it: a zone, a version, a weight.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
