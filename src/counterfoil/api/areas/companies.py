"""Companies with their sites and contacts, billing terms, and the first set-up."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.shapes import shape
from counterfoil.companies import commands, queries
from counterfoil.companies.models import BillingTerms, Company, Contact, Site
from counterfoil.flows.setup import set_up_msp

area = Area("Companies")

sites = shape(Site)
contacts = shape(Contact)
companies = shape(Company, parts={"sites": sites, "contacts": contacts})
billing_terms = shape(BillingTerms)

area.post("/setup", set_up_msp, companies)

area.records("/companies", companies, queries.companies)
area.post("/companies", commands.create_company, companies)
area.detail("/companies/{company_id}", companies)
area.patch("/companies/{company_id}", commands.update_company, companies)
area.act("/companies/{company_id}/deactivate", commands.deactivate_company, companies)
area.act("/companies/{company_id}/reactivate", commands.reactivate_company, companies)

area.post("/companies/{company_id}/sites", commands.add_site, sites)
area.detail("/sites/{site_id}", sites)
area.patch("/sites/{site_id}", commands.update_site, sites)

area.post("/companies/{company_id}/contacts", commands.add_contact, contacts)
area.detail("/contacts/{contact_id}", contacts)
area.patch("/contacts/{contact_id}", commands.update_contact, contacts)

area.records("/billing-terms", billing_terms, queries.billing_terms)
area.post("/billing-terms", commands.create_billing_terms, billing_terms)
area.detail("/billing-terms/{terms_id}", billing_terms)
area.patch("/billing-terms/{terms_id}", commands.update_billing_terms, billing_terms)
