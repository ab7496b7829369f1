mod ensemble;
mod model;
mod scenes;
