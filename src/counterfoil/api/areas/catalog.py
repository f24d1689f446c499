"""Products, categories and subcategories."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.shapes import shape
from counterfoil.catalog import commands, queries
from counterfoil.catalog.models import Category, Product, Subcategory

area = Area("Products")

products = shape(Product)
subcategories = shape(Subcategory)
categories = shape(Category, parts={"subcategories": subcategories})

area.records("/categories", categories, queries.categories)
area.post("/categories", commands.create_category, categories)
area.detail("/categories/{category_id}", categories)
area.records("/subcategories", subcategories, queries.subcategories)
area.post("/categories/{category_id}/subcategories", commands.create_subcategory, subcategories)

area.records("/products", products, queries.products)
area.post("/products", commands.create_product, products)
area.detail("/products/{product_id}", products)
area.patch("/products/{product_id}", commands.update_product, products)
area.act("/products/{product_id}/deactivate", commands.deactivate_product, products)
area.act("/products/{product_id}/reactivate", commands.reactivate_product, products)
