"""Stories across contexts: conversion, the lease, the first day. The only place that imports many contexts."""
